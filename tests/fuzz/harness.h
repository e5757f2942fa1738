#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "core/error.h"

namespace attune::fuzz {

/// The body of a harness, defined once a program: parses `input` and holds the parser to what it promises. It throws nothing; a promise
/// that is broken ends the process by `broken`.
void check(std::string_view input);

/// Says which promise was broken and ends the process: libFuzzer keeps the input, ctest fails.
[[noreturn]] void broken(std::string_view promise, std::string_view detail = {});

inline void promise(bool kept, std::string_view text, std::string_view detail = {}) {
  if (!kept) broken(text, detail);
}

/// Runs `f`; true if it came to its end. An Error is a refusal and must have the form `where: expected …; got …` unless `free_form`;
/// any other exception is a broken promise.
template <class F>
bool accepted(F&& f, bool free_form = false) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    promise(!e.message().empty() && (free_form || e.message().find(": expected ") != std::string::npos), "errors say what was expected", e.message());
    promise(e.code() != ErrorCode::internal, "no input is an internal error", e.message());
  } catch (const std::exception& e) {
    broken("only attune::Error escapes", e.what());
  }
  return false;
}

/// The input up to the next zero byte, which is taken off `rest` together with that byte.
std::string_view take_part(std::string_view& rest);

/// A file in memory, for parsers that open a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

}  // namespace attune::fuzz
