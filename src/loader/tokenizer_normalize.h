#pragma once

#include <memory>
#include <string>

#include "loader/tokenizer_json.h"

namespace attune {

/// A text on its way to the model. `at_start` says that its first character is the first of the whole input.
struct NormalText {
  std::string text;
  bool at_start = false;
};

/// One step that rewrites text before it is cut into words: the `normalizer` of a tokenizer.json.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(NormalText& text) const = 0;
};

/// Null for a null node; NotSupported, with the list of supported types, for an unknown type.
std::unique_ptr<const Normalizer> make_normalizer(const JsonNode& node);

/// A `pattern` of tokenizer.json: {"String": …} or {"Regex": …}.
class TextPattern {
 public:
  explicit TextPattern(const JsonNode& node);
  ~TextPattern();
  void for_each_match(std::string_view text, const std::function<void(size_t begin, size_t end)>& found) const;
  /// `text` with every match replaced.
  std::string replaced(std::string_view text, std::string_view content) const;
  /// The text looked for; empty for a regular expression.
  const std::string& literal() const { return literal_; }

 private:
  std::string literal_;
  std::unique_ptr<const class TokenizerRegex> regex_;
};

/// Type of a component, from its member "type".
const std::string& component_type(const JsonNode& node);

/// The members of a Sequence, at most 64.
std::vector<JsonNode> sequence_items(const JsonNode& list);

/// Throws NotSupported: `node` has a type that is not among `supported`.
[[noreturn]] void unknown_component(const JsonNode& node, std::string_view supported);

/// The character that stands for `byte` in byte-level vocabularies.
char32_t byte_level_character(unsigned char byte);

/// Appends `text` with each byte as its byte-level character.
void append_byte_level(std::string_view text, std::string& out);

}  // namespace attune
