#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct JsonLimits {
  size_t bytes = size_t{64} << 20;
  int depth = 64;
  bool unique_keys = false;  ///< refuse an object that names a key twice; otherwise the last one counts
};

/// Parses hostile text without recursion. `where` (a file name, say) starts every error: `config.json: expected JSON; got 'x' at
/// byte 12`, bytes counted from 0.
nlohmann::json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});

/// The same for a file; `where` is the file's name without its folder.
nlohmann::json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

/// A JSON value as it is shown in a message: compact, cut when long.
std::string printable_json(const nlohmann::json& value);

/// Typed reading of the members of one JSON object. A member that is absent or null is missing; one of the wrong type or out of
/// bounds is an InvalidArgument that names file and key: `config.json: hidden_size: expected an integer from 1 to 9; got "x"`.
class JsonFields {
 public:
  /// Keeps references to both: they must outlive it. Fails if `object` is no JSON object.
  JsonFields(const nlohmann::json& object, std::string where);

  /// The member, or null when it is absent or JSON null.
  const nlohmann::json* find(const char* key) const;
  bool has(const char* key) const { return find(key) != nullptr; }
  /// True if the member is there and is JSON null, for formats where that differs from being absent.
  bool is_null(const char* key) const;

  std::optional<int64_t> integer(const char* key, int64_t lo, int64_t hi) const;
  /// A finite number in [lo, hi]; integers are taken too.
  std::optional<double> number(const char* key, double lo, double hi) const;
  std::optional<bool> boolean(const char* key) const;
  std::optional<std::string> string(const char* key) const;
  /// An integer or a list of integers (at most 4096).
  std::optional<std::vector<int64_t>> integers(const char* key, int64_t lo, int64_t hi) const;
  std::optional<std::vector<std::string>> strings(const char* key) const;

  /// Throws the error for `key`.
  [[noreturn]] void refuse(const char* key, std::string_view expected) const;
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace attune
