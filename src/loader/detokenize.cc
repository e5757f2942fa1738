#include "loader/detokenize.h"

#include <array>
#include <functional>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/tokenizer_normalize.h"
#include "loader/tokenizer_unicode.h"

namespace attune {

struct Decoder::Part {
  std::function<std::unique_ptr<DecodeStep>()> make;
};

namespace {

constexpr size_t kMaxStrip = 1024;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// Bytes of a byte-level token; the token itself if it has a character that stands for no byte.
std::string byte_level_bytes(const std::string& token) {
  static const std::array<int, 0x144> kBytes = [] {
    std::array<int, 0x144> table{};
    table.fill(-1);
    for (int b = 0; b < 256; ++b) table[byte_level_character(static_cast<unsigned char>(b))] = b;
    return table;
  }();
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t at = 0; at < token.size();) {
    const char32_t c = next_code_point(token, at);
    if (c >= kBytes.size() || kBytes[c] < 0) return token;
    bytes += static_cast<char>(kBytes[c]);
  }
  return bytes;
}

/// Joins the bytes of all tokens; broken UTF-8 becomes U+FFFD, the start of a character waits for its end.
class ByteLevelStep : public DecodeStep {
 public:
  void push(std::string token, std::vector<std::string>& out) override {
    held_ += byte_level_bytes(token);
    size_t cut = held_.size();  // a character of four bytes may lack its last one to three
    for (size_t back = 1; back <= 3 && back <= held_.size(); ++back) {
      if (utf8_incomplete(std::string_view(held_).substr(held_.size() - back))) cut = held_.size() - back;
    }
    if (cut > 0) out.push_back(utf8_repaired(std::string_view(held_).substr(0, cut)));
    held_.erase(0, cut);
  }
  void finish(std::vector<std::string>& out) override {
    out.push_back(utf8_repaired(held_));
    held_.clear();
  }

 private:
  std::string held_;
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The byte that a token such as <0x0A> stands for; −1 for any other token.
int fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int low = hex_digit(token[4]);
  if (token[3] == '+') return low;  // as the `tokenizers` package reads numbers
  const int high = hex_digit(token[3]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/// A run of byte tokens is text if all of it is valid UTF-8, else one U+FFFD a byte: nothing of it is certain before its end.
class ByteFallbackStep : public DecodeStep {
 public:
  void push(std::string token, std::vector<std::string>& out) override {
    const int byte = fallback_byte(token);
    if (byte >= 0) {
      held_ += static_cast<char>(byte);
      return;
    }
    finish(out);
    out.push_back(std::move(token));
  }
  void finish(std::vector<std::string>& out) override {
    if (held_.empty()) return;
    if (utf8_valid(held_)) {
      out.push_back(std::move(held_));
    } else {
      for (size_t i = 0; i < held_.size(); ++i) out.emplace_back(kReplacement);
    }
    held_.clear();
  }

 private:
  std::string held_;
};

/// Puts a space between tokens.
class SpaceStep : public DecodeStep {
 public:
  void push(std::string token, std::vector<std::string>& out) override {
    if (!first_) out.emplace_back(" ");
    first_ = false;
    out.push_back(std::move(token));
  }
  void finish(std::vector<std::string>& /*out*/) override { first_ = true; }

 private:
  bool first_ = true;
};

/// Changes each token by itself; `first` tells it the first of the stream.
class EachStep : public DecodeStep {
 public:
  using Change = std::function<std::string(const std::string& token, bool first)>;
  explicit EachStep(Change change) : change_(std::move(change)) {}
  void push(std::string token, std::vector<std::string>& out) override {
    out.push_back(change_(std::move(token), first_));
    first_ = false;
  }
  void finish(std::vector<std::string>& /*out*/) override { first_ = true; }

 private:
  Change change_;
  bool first_ = true;
};

/// Changes the whole text at its end: for the changes of a fused text that its parts do not determine.
class WholeStep : public DecodeStep {
 public:
  explicit WholeStep(EachStep::Change change) : change_(std::move(change)) {}
  void push(std::string token, std::vector<std::string>& /*out*/) override { held_ += token; }
  void finish(std::vector<std::string>& out) override {
    out.push_back(change_(std::move(held_), true));
    held_.clear();
  }

 private:
  EachStep::Change change_;
  std::string held_;
};

/// Takes up to `left` times `content` from the start of the whole text.
class StripStartStep : public DecodeStep {
 public:
  StripStartStep(std::string content, size_t left) : content_(std::move(content)), left_(left), still_(left) {}
  void push(std::string token, std::vector<std::string>& out) override {
    size_t at = 0;
    while (still_ > 0 && at < token.size()) {
      const bool same = std::string_view(token).substr(at).starts_with(content_);
      still_ = same ? still_ - 1 : 0;
      if (same) at += content_.size();
    }
    if (at < token.size()) out.push_back(token.substr(at));
  }
  void finish(std::vector<std::string>& /*out*/) override { still_ = left_; }

 private:
  std::string content_;
  size_t left_;
  size_t still_;
};

std::string stripped(const std::string& token, const std::string& content, size_t start, size_t stop) {
  std::string_view rest = token;
  for (size_t i = 0; i < start && rest.starts_with(content); ++i) rest.remove_prefix(content.size());
  for (size_t i = 0; i < stop && rest.ends_with(content); ++i) rest.remove_suffix(content.size());
  return std::string(rest);
}

std::string without_metaspace(std::string_view token, const std::string& mark, bool drop) {
  std::string out;
  for (size_t at = 0; at < token.size();) {
    if (token.substr(at).starts_with(mark)) {
      if (!drop) out += ' ';
      at += mark.size();
    } else {
      out += token[at++];
    }
  }
  return out;
}

}  // namespace

Decoder::Decoder(const JsonNode& node) {
  bool fused = false;
  if (node.is_null()) {
    parts_.push_back(std::make_unique<Part>(Part{[] { return std::make_unique<SpaceStep>(); }}));
  } else {
    add(node, fused);
  }
}

Decoder::~Decoder() = default;

std::vector<std::unique_ptr<DecodeStep>> Decoder::chain() const {
  std::vector<std::unique_ptr<DecodeStep>> steps;
  for (const auto& part : parts_) steps.push_back(part->make());
  return steps;
}

/// `fused` says that all tokens have become one, so that a step sees parts of it.
void Decoder::add(const JsonNode& node, bool& fused) {
  const auto part = [&](std::function<std::unique_ptr<DecodeStep>()> make) { parts_.push_back(std::make_unique<Part>(Part{std::move(make)})); };
  const auto each = [&](const EachStep::Change& change, bool whole) {
    if (whole)
      part([change] { return std::make_unique<WholeStep>(change); });
    else
      part([change] { return std::make_unique<EachStep>(change); });
  };
  const std::string& type = component_type(node);
  if (type == "Sequence") {
    for (const JsonNode& item : sequence_items(node.at("decoders"))) add(item, fused);
  } else if (type == "ByteLevel") {
    part([] { return std::make_unique<ByteLevelStep>(); });
    fused = true;
  } else if (type == "Fuse") {
    fused = true;
  } else if (type == "ByteFallback") {
    if (fused) each([](const std::string& t, bool) { return t; }, true);
    part([] { return std::make_unique<ByteFallbackStep>(); });
  } else if (type == "Replace") {
    const auto pattern = std::make_shared<const TextPattern>(node.at("pattern"));
    const std::string content = node.at("content").text();
    const bool single = utf8_sequence(pattern->literal()) == pattern->literal().size() && !pattern->literal().empty();
    each([pattern, content](const std::string& t, bool) { return pattern->replaced(t, content); }, fused && !single);
  } else if (type == "Strip") {
    const std::string content = single_character(node.at("content"));
    const auto start = static_cast<size_t>(node.at("start").integer(0, kMaxStrip));
    const auto stop = static_cast<size_t>(node.at("stop").integer(0, kMaxStrip));
    if (fused && stop == 0)
      part([content, start] { return std::make_unique<StripStartStep>(content, start); });
    else
      each([content, start, stop](const std::string& t, bool) { return stripped(std::move(t), content, start, stop); }, fused);
  } else if (type == "Metaspace") {
    const std::string mark = single_character(node.at("replacement"));
    const bool never = (node.has("prepend_scheme") && node.at("prepend_scheme").text() == "never") || !node.flag("add_prefix_space", true);
    each([mark, never](const std::string& t, bool first) { return without_metaspace(t, mark, first && !never); }, fused);
  } else {
    unknown_component(node, "Sequence, ByteLevel, Fuse, ByteFallback, Replace, Strip, Metaspace");
  }
}

void DecodeChain::push(std::string token, std::string& out) { run(0, {std::move(token)}, out); }

void DecodeChain::run(size_t step, std::vector<std::string> tokens, std::string& out) {
  for (; step < steps_.size(); ++step) {
    std::vector<std::string> next;
    for (std::string& t : tokens) steps_[step]->push(std::move(t), next);
    tokens = std::move(next);
  }
  for (const std::string& t : tokens) out += t;
}

void DecodeChain::finish(std::string& out) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    std::vector<std::string> rest;
    steps_[i]->finish(rest);
    run(i + 1, std::move(rest), out);
  }
}

}  // namespace attune
