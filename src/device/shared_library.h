#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "device/device.h"

namespace attune {

/// A vendor library that is looked for at run time: its files, best first, the function that tells its version, and what else is called.
struct LibraryRecipe {
  std::string_view name;                 ///< as kernels and reasons call it
  std::span<const char* const> files;    ///< "libcublasLt.so.13", …
  const char* version_symbol;            ///< a C function without parameters that returns size_t
  std::span<const char* const> symbols;  ///< in the order in which callers index them
};

/// A library found; it stays loaded until the process ends.
class SharedLibrary {
 public:
  /// Opens the first of the recipe's files that the loader takes; nothing if there is none. `why`: what the loader said of each.
  static std::optional<SharedLibrary> find(const LibraryRecipe& recipe, std::string* why = nullptr);

  const std::string& file() const { return file_; }
  /// The address of a symbol; null if the library has none of this name.
  void* symbol(const char* name) const;
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }

 private:
  SharedLibrary(std::string file, void* opened) : file_(std::move(file)), opened_(opened) {}
  std::string file_;
  void* opened_;
};

/// What DeviceProps::libraries says of a library: nothing if it is absent, else its version (0 if it does not tell) and the first symbol that it
/// lacks.
std::optional<LibraryProps> detect_library(const LibraryRecipe& recipe);

/// cuBLASLt, as cuda.matmul.cublaslt calls it.
const LibraryRecipe& cublaslt_recipe();

/// cuDNN's graph interface, as cuda.attention.cudnn calls it.
const LibraryRecipe& cudnn_recipe();

}  // namespace attune
