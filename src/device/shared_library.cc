#include "device/shared_library.h"

#include <dlfcn.h>

#include "core/error.h"

namespace attune {
namespace {

constexpr const char* kCublasLtFiles[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr const char* kCublasLtSymbols[] = {"cublasLtCreate",
                                            "cublasLtMatmul",
                                            "cublasLtMatmulAlgoGetHeuristic",
                                            "cublasLtMatmulDescCreate",
                                            "cublasLtMatmulDescDestroy",
                                            "cublasLtMatmulDescSetAttribute",
                                            "cublasLtMatrixLayoutCreate",
                                            "cublasLtMatrixLayoutDestroy",
                                            "cublasLtMatmulPreferenceCreate",
                                            "cublasLtMatmulPreferenceDestroy",
                                            "cublasLtMatmulPreferenceSetAttribute"};
constexpr LibraryRecipe kCublasLt{"cublasLt", kCublasLtFiles, "cublasLtGetVersion", kCublasLtSymbols};

constexpr const char* kCudnnFiles[] = {"libcudnn.so.9"};
constexpr const char* kCudnnSymbols[] = {"cudnnCreate",
                                         "cudnnSetStream",
                                         "cudnnGetErrorString",
                                         "cudnnGetLastErrorString",
                                         "cudnnBackendCreateDescriptor",
                                         "cudnnBackendDestroyDescriptor",
                                         "cudnnBackendSetAttribute",
                                         "cudnnBackendGetAttribute",
                                         "cudnnBackendFinalize",
                                         "cudnnBackendExecute"};
constexpr LibraryRecipe kCudnn{"cudnn", kCudnnFiles, "cudnnGetVersion", kCudnnSymbols};

}  // namespace

std::optional<SharedLibrary> SharedLibrary::find(const LibraryRecipe& recipe, std::string* why) {
  for (const char* file : recipe.files) {
    if (void* opened = dlopen(file, RTLD_LAZY | RTLD_LOCAL)) return SharedLibrary(file, opened);
    const char* said = dlerror();
    if (why) *why += (why->empty() ? "" : "; ") + (said ? printable(said, 300) : std::string(file));
  }
  return std::nullopt;
}

void* SharedLibrary::symbol(const char* name) const { return dlsym(opened_, name); }

std::optional<LibraryProps> detect_library(const LibraryRecipe& recipe) {
  const auto library = SharedLibrary::find(recipe);
  if (!library) return std::nullopt;
  LibraryProps props{std::string(recipe.name), 0, ""};
  if (const auto version = library->function<size_t()>(recipe.version_symbol))
    props.version = static_cast<int64_t>(version());
  else
    props.missing_symbol = recipe.version_symbol;
  for (const char* name : recipe.symbols)
    if (props.missing_symbol.empty() && library->symbol(name) == nullptr) props.missing_symbol = name;
  return props;
}

const LibraryRecipe& cublaslt_recipe() { return kCublasLt; }
const LibraryRecipe& cudnn_recipe() { return kCudnn; }

}  // namespace attune
