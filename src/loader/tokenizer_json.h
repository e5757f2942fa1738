#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attune {

/// Limits of a tokenizer.json.
inline constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;
inline constexpr int32_t kMaxTokenId = (1 << 24) - 1;

/// The largest id in a file of so many tokens: tables by id must not outgrow the file that asks for them.
constexpr int64_t largest_token_id(size_t tokens) {
  const int64_t id = (int64_t{1} << 16) + 16 * static_cast<int64_t>(tokens);
  return id < kMaxTokenId ? id : kMaxTokenId;
}

/// tokenizer.json as read: the two big tables of the model apart, everything else as a tree.
struct TokenizerFile {
  nlohmann::json root;
  bool has_vocab = false;
  bool has_merges = false;
  std::vector<std::pair<std::string, int32_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Parses the text; broken JSON, wrong types in the two tables, double keys, depth over 64 and bad ids are errors.
TokenizerFile parse_tokenizer_file(std::string_view text);

/// Parses a small JSON text under the same rules (no tables apart).
nlohmann::json parse_json_tree(std::string_view text, std::string_view file);

/// A value of the file together with the path that leads to it, so that every complaint names the place.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }
  bool is_string() const { return value_->is_string(); }
  bool is_array() const { return value_->is_array(); }
  bool is_object() const { return value_->is_object(); }
  /// True if the object has a member `key` that is not null.
  bool has(const char* key) const;
  /// Member of an object; an absent one is an error.
  JsonNode at(const char* key) const;
  std::vector<JsonNode> items() const;
  std::vector<std::pair<std::string, JsonNode>> members() const;
  const std::string& text() const;
  bool flag() const;
  bool flag(const char* key, bool absent) const { return has(key) ? at(key).flag() : absent; }
  int64_t integer(int64_t low, int64_t high) const;
  double number() const;

 private:
  [[noreturn]] void wrong_type(const char* expected) const;

  const nlohmann::json* value_;
  std::string path_;
};

/// One UTF-8 character as `node` must hold it.
const std::string& single_character(const JsonNode& node);

}  // namespace attune
