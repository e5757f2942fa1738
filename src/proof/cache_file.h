#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace attune {

// Files of ours in the user's cache: JSON objects with a "format", read as if somebody hostile had written them.

/// What a file may be at most.
struct CacheFileLimits {
  std::string_view what;  ///< names the file in errors: "verify record"
  size_t bytes = size_t{4} << 20;
  int depth = 8;
  int format = 1;
};

/// The object in the text. InvalidArgument for what is too large, nests too deep, is no JSON or of another format.
nlohmann::ordered_json parse_cache_text(const CacheFileLimits& limits, std::string_view text);

/// The file's text, at most one byte more than it may have; nothing if there is no file. IoError for what cannot be read or is no plain file.
std::optional<std::string> read_cache_file(const CacheFileLimits& limits, const std::string& path);

/// Replaces the file at once, so that a reader never sees half of it; makes its folder. IoError.
void write_cache_file(const std::string& path, std::string_view text);

/// Members of an object. InvalidArgument, by the file's name, unless they are there and within bounds; texts come back printable.
class CacheObject {
 public:
  CacheObject(const CacheFileLimits& limits, const nlohmann::ordered_json& object);
  int64_t integer(const char* name, int64_t most) const;  ///< 0 to most
  double real(const char* name) const;                    ///< not negative; "infinity" is one
  bool flag(const char* name) const;
  std::string text(const char* name, size_t most) const;
  const nlohmann::ordered_json& member(const char* name) const;
  [[noreturn]] void bad(const std::string& expected, const std::string& got) const;

 private:
  const CacheFileLimits& limits_;
  const nlohmann::ordered_json& object_;
};

/// A number as JSON, which knows no infinity.
nlohmann::ordered_json cache_number(double x);

}  // namespace attune
