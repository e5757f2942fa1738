#include "loader/pretokenize.h"

#include <functional>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/tokenizer_normalize.h"
#include "loader/tokenizer_regex.h"
#include "loader/tokenizer_unicode.h"

namespace attune {
namespace {

/// The pattern of GPT-2, which ByteLevel applies when `use_regex` is set.
constexpr std::string_view kByteLevelPattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// What becomes of the matches of a pattern.
enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

struct Span {
  size_t begin;
  size_t end;
  bool match;
};

using Matcher = std::function<void(std::string_view, const std::function<void(size_t, size_t)>&)>;

/// Cuts `text` into matches and what lies between.
void find_spans(std::string_view text, const Matcher& matcher, bool invert, std::vector<Span>& spans) {
  spans.clear();
  size_t done = 0;
  matcher(text, [&](size_t begin, size_t end) {
    if (done != begin) spans.push_back({done, begin, invert});
    spans.push_back({begin, end, !invert});
    done = end;
  });
  if (done != text.size()) spans.push_back({done, text.size(), invert});
}

/// Joins spans to their left neighbours as `behavior` asks, in place.
void join_spans(Behavior behavior, std::vector<Span>& spans) {
  size_t kept = 0;
  bool previous = false;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Span s = spans[i];
    bool join = false;
    if (behavior == Behavior::contiguous) join = s.match == previous;
    if (behavior == Behavior::merged_with_previous) join = s.match && !previous;
    if (behavior == Behavior::merged_with_next) join = previous && !s.match;
    if (behavior == Behavior::removed && s.match) continue;
    previous = s.match;
    if (join && kept > 0) {
      spans[kept - 1].end = s.end;
    } else {
      spans[kept++] = s;
    }
  }
  spans.resize(kept);
}

void split_pieces(Pieces& pieces, const Matcher& matcher, Behavior behavior, bool invert) {
  std::vector<Piece> out;
  out.reserve(pieces.list.size());
  std::vector<Span> spans;
  for (const Piece& piece : pieces.list) {
    find_spans(piece.text, matcher, invert, spans);
    join_spans(behavior, spans);
    for (const Span& s : spans) {
      if (s.begin != s.end) out.push_back({piece.text.substr(s.begin, s.end - s.begin), piece.at_start && s.begin == 0});
    }
  }
  pieces.list = std::move(out);
}

/// Matches each character that satisfies `is`.
template <class Predicate>
Matcher each_character(Predicate is) {
  return [is](std::string_view text, const std::function<void(size_t, size_t)>& found) {
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      if (is(next_code_point(text, at))) found(begin, at);
    }
  };
}

Behavior parse_behavior(const JsonNode& node) {
  const std::string& s = node.text();
  if (s == "Removed") return Behavior::removed;
  if (s == "Isolated") return Behavior::isolated;
  if (s == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (s == "MergedWithNext") return Behavior::merged_with_next;
  if (s == "Contiguous") return Behavior::contiguous;
  fail(ErrorCode::not_supported, node.path(), "one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous",
       fmt::format("\"{}\"", printable(s)));
}

class Split : public PreTokenizer {
 public:
  explicit Split(const JsonNode& node)
      : pattern_(node.at("pattern")), behavior_(parse_behavior(node.at("behavior"))), invert_(node.flag("invert", false)) {}

  void apply(Pieces& pieces) const override {
    split_pieces(
        pieces, [&](std::string_view text, const auto& found) { pattern_.for_each_match(text, found); }, behavior_, invert_);
  }

 private:
  TextPattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const JsonNode& node) : prefix_space_(node.flag("add_prefix_space", true)) {
    if (node.flag("use_regex", true)) pattern_ = std::make_unique<TokenizerRegex>(kByteLevelPattern, node.path());
  }

  void apply(Pieces& pieces) const override {
    if (prefix_space_) {
      for (Piece& piece : pieces.list) {
        if (!piece.text.starts_with(' ')) piece.text = pieces.buffers.emplace_back(" ").append(piece.text);
      }
    }
    if (pattern_) {
      split_pieces(
          pieces, [&](std::string_view text, const auto& found) { pattern_->for_each_match(text, found); }, Behavior::isolated, false);
    }
    size_t bytes = 0;
    for (const Piece& piece : pieces.list) bytes += piece.text.size();
    std::string& mapped = pieces.buffers.emplace_back();
    mapped.reserve(2 * bytes);  // two bytes a character at most, so that the views below stay good
    for (Piece& piece : pieces.list) {
      const size_t begin = mapped.size();
      append_byte_level(piece.text, mapped);
      piece.text = std::string_view(mapped).substr(begin);
    }
  }

 private:
  bool prefix_space_;
  std::unique_ptr<const TokenizerRegex> pattern_;
};

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const JsonNode& node) : replacement_(single_character(node.at("replacement"))), split_(node.flag("split", true)) {
    const std::string scheme = node.has("prepend_scheme") ? node.at("prepend_scheme").text() : "always";
    if (scheme == "first") {
      first_ = true;
    } else if (scheme == "always") {
      always_ = true;
    } else if (scheme != "never") {
      fail(ErrorCode::not_supported, node.path() + ".prepend_scheme", "one of always, first, never", fmt::format("\"{}\"", printable(scheme)));
    }
    if (!node.flag("add_prefix_space", true)) {
      if (scheme != "never" && node.has("prepend_scheme")) {
        invalid(node.path() + ".add_prefix_space", fmt::format("true, as prepend_scheme is \"{}\"", scheme), "false");
      }
      first_ = always_ = false;
    }
  }

  void apply(Pieces& pieces) const override {
    for (Piece& piece : pieces.list) {
      std::string& text = pieces.buffers.emplace_back();
      text.reserve(piece.text.size() + piece.text.size() / 4 + replacement_.size());
      const std::string_view start = piece.text.starts_with(' ') ? std::string_view(replacement_) : piece.text;
      if ((always_ || (first_ && piece.at_start)) && !start.starts_with(replacement_)) text = replacement_;
      for (const char c : piece.text) c == ' ' ? text += replacement_ : text += c;
      piece.text = text;
    }
    if (!split_) return;
    const auto matcher = [&](std::string_view text, const std::function<void(size_t, size_t)>& found) {
      for (size_t at = text.find(replacement_); at != std::string_view::npos; at = text.find(replacement_, at + replacement_.size())) {
        found(at, at + replacement_.size());
      }
    };
    split_pieces(pieces, matcher, Behavior::merged_with_next, false);
  }

 private:
  std::string replacement_;
  bool split_;
  bool always_ = false;
  bool first_ = false;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(const JsonNode& node) : behavior_(node.flag("individual_digits", false) ? Behavior::isolated : Behavior::contiguous) {}
  void apply(Pieces& pieces) const override { split_pieces(pieces, each_character(is_numeric), behavior_, false); }

 private:
  Behavior behavior_;
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override { split_pieces(pieces, each_character(is_white_space), Behavior::removed, false); }
};

/// Words, and runs of what is neither word nor space.
class Whitespace : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    WhitespaceSplit().apply(pieces);
    split_pieces(pieces, each_character(is_word), Behavior::contiguous, false);
  }
};

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(const JsonNode& node) {
    for (const JsonNode& item : sequence_items(node.at("pretokenizers"))) {
      if (auto step = make_pre_tokenizer(item)) steps_.push_back(std::move(step));
    }
  }
  void apply(Pieces& pieces) const override {
    for (const auto& step : steps_) step->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> steps_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const JsonNode& node) {
  if (node.is_null()) return nullptr;
  const std::string& type = component_type(node);
  if (type == "ByteLevel") return std::make_unique<ByteLevel>(node);
  if (type == "Split") return std::make_unique<Split>(node);
  if (type == "Metaspace") return std::make_unique<Metaspace>(node);
  if (type == "Digits") return std::make_unique<Digits>(node);
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "WhitespaceSplit") return std::make_unique<WhitespaceSplit>();
  if (type == "Sequence") return std::make_unique<PreTokenizerSequence>(node);
  unknown_component(node, "ByteLevel, Split, Metaspace, Digits, Whitespace, WhitespaceSplit, Sequence");
}

}  // namespace attune
