#include "loader/tokenizer_added.h"

#include <algorithm>

#include "core/error.h"
#include "loader/tokenizer_unicode.h"

namespace attune {
namespace {

constexpr size_t kMaxContent = 4096;  // bounds the time at each place of a text
constexpr size_t kMaxTokens = size_t{1} << 20;

/// Start of the last character before `end`.
size_t previous_character(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  return end;
}

AddedToken parse_added_token(const JsonNode& node, const Normalizer* normalizer) {
  AddedToken t;
  t.content = node.at("content").text();
  t.id = static_cast<int32_t>(node.at("id").integer(0, kMaxTokenId));
  t.single_word = node.flag("single_word", false);
  t.lstrip = node.flag("lstrip", false);
  t.rstrip = node.flag("rstrip", false);
  t.special = node.flag("special", false);
  t.normalized = node.flag("normalized", !t.special);
  if (t.content.size() > kMaxContent) {
    invalid(node.path() + ".content", fmt::format("at most {} bytes", kMaxContent), std::to_string(t.content.size()));
  }
  t.shown = t.content;
  if (t.normalized && normalizer != nullptr) {
    NormalText text{t.content, false};
    normalizer->apply(text);
    t.shown = std::move(text.text);
  }
  return t;
}

}  // namespace

uint32_t LongestMatch::child(uint32_t node, unsigned char byte) const {
  const auto& next = nodes_[node].next;
  const auto it = std::lower_bound(next.begin(), next.end(), byte, [](const auto& edge, unsigned char b) { return edge.first < b; });
  return it != next.end() && it->first == byte ? it->second : kNone;
}

void LongestMatch::add(std::string_view text, uint32_t value) {
  uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    uint32_t to = child(node, byte);
    if (to == kNone) {
      to = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
      auto& next = nodes_[node].next;
      next.insert(std::lower_bound(next.begin(), next.end(), std::pair(byte, uint32_t{0})), {byte, to});
    }
    node = to;
  }
  nodes_[node].value = value;
  first_[static_cast<unsigned char>(text[0])] = true;
}

bool LongestMatch::next(std::string_view text, size_t& at, size_t& end, uint32_t& value) const {
  for (; at < text.size(); ++at) {
    if (!first_[static_cast<unsigned char>(text[at])]) continue;
    value = kNone;
    uint32_t node = 0;
    for (size_t i = at; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == kNone) break;
      if (nodes_[node].value == kNone) continue;
      value = nodes_[node].value;
      end = i + 1;
    }
    if (value != kNone) return true;
  }
  return false;
}

AddedTokens::AddedTokens(const JsonNode& list, const Normalizer* normalizer) {
  const std::vector<JsonNode> items = list.items();
  if (items.size() > kMaxTokens) invalid(list.path(), fmt::format("at most {} tokens", kMaxTokens), std::to_string(items.size()));
  for (const JsonNode& item : items) {
    AddedToken t = parse_added_token(item, normalizer);
    if (t.content.empty()) continue;
    const auto index = static_cast<uint32_t>(tokens_.size());
    const std::string& looked_for = t.normalized ? t.shown : t.content;
    if (!looked_for.empty()) (t.normalized ? normalized_ : plain_).add(looked_for, index);
    tokens_.push_back(std::move(t));
  }
}

bool AddedTokens::is_single_word(std::string_view text, size_t begin, size_t end) const {
  if (begin > 0) {
    size_t at = previous_character(text, begin);
    if (is_word(next_code_point(text, at))) return false;
  }
  return end == text.size() || !is_word(next_code_point(text, end));
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool after_normalizer, bool parse_special) const {
  const LongestMatch& set = after_normalizer ? normalized_ : plain_;
  std::vector<Part> parts;
  size_t done = 0;
  uint32_t index = 0;
  size_t end = 0;
  size_t spaces_end = 0;  // end of the last run of spaces gone over: a token made of spaces must not go over it again
  for (size_t at = 0; !set.empty() && set.next(text, at, end, index); at = end) {
    const AddedToken& t = tokens_[index];
    if ((t.special && !parse_special) || (t.single_word && !is_single_word(text, at, end))) continue;
    size_t begin = at;
    if (t.lstrip) {
      while (begin > done) {
        const size_t before = previous_character(text, begin);
        size_t i = before;
        if (!is_white_space(next_code_point(text, i))) break;
        begin = before;
      }
    }
    size_t stop = end;
    if (t.rstrip && stop < spaces_end) {
      stop = spaces_end;
    } else if (t.rstrip) {
      for (size_t i = stop; i < text.size() && is_white_space(next_code_point(text, i));) stop = i;
      spaces_end = stop;
    }
    if (done < begin) parts.push_back({done, begin, -1});
    parts.push_back({begin, stop, t.id});
    done = stop;
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
  return parts;
}

}  // namespace attune
