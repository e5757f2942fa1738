#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loader/tokenizer_json.h"
#include "loader/tokenizer_normalize.h"

namespace attune {

/// One entry of `added_tokens`: text that is a token whole, wherever it stands.
struct AddedToken {
  std::string content;
  std::string shown;  // as decoding shows it: `content`, or its normal form where `normalized` is set
  int32_t id = 0;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
};

/// Finds the longest of several texts at each place, left to right.
class LongestMatch {
 public:
  void add(std::string_view text, uint32_t value);
  bool empty() const { return nodes_.size() == 1; }
  /// Moves `at` to the next place where one begins; its value and end. False if there is none.
  bool next(std::string_view text, size_t& at, size_t& end, uint32_t& value) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint32_t value = kNone;
    std::vector<std::pair<unsigned char, uint32_t>> next;  // sorted by byte
  };
  uint32_t child(uint32_t node, unsigned char byte) const;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  bool first_[256] = {};
};

/// The added tokens of a tokenizer.
class AddedTokens {
 public:
  /// A stretch of text: an added token (id ≥ 0) or what the model must encode.
  struct Part {
    size_t begin;
    size_t end;
    int32_t id;
  };

  AddedTokens() = default;
  AddedTokens(const JsonNode& list, const Normalizer* normalizer);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  /// Cuts text, before or after normalisation, at the added tokens that are looked for there.
  std::vector<Part> split(std::string_view text, bool after_normalizer, bool parse_special) const;

 private:
  bool is_single_word(std::string_view text, size_t begin, size_t end) const;
  std::vector<AddedToken> tokens_;
  LongestMatch plain_;
  LongestMatch normalized_;
};

}  // namespace attune
