#include "loader/tokenizer_normalize.h"

#include "core/error.h"
#include "core/utf8.h"
#include "loader/tokenizer_regex.h"
#include "loader/tokenizer_unicode.h"

namespace attune {
namespace {

constexpr size_t kMaxSequence = 64;

class Form : public Normalizer {
 public:
  explicit Form(NormalForm form) : form_(form) {}
  void apply(NormalText& t) const override { t.text = normalized(t.text, form_); }

 private:
  NormalForm form_;
};

class Lowercase : public Normalizer {
 public:
  void apply(NormalText& t) const override { t.text = lowercase(t.text); }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(NormalText& t) const override {
    std::string out;
    append_byte_level(t.text, out);
    t.text = std::move(out);
  }
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const JsonNode& node) : prefix_(node.at("prepend").text()) {}
  void apply(NormalText& t) const override {
    if (!t.text.empty()) t.text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const JsonNode& node) : pattern_(node.at("pattern")), content_(node.at("content").text()) {}
  void apply(NormalText& t) const override { t.text = pattern_.replaced(t.text, content_); }

 private:
  TextPattern pattern_;
  std::string content_;
};

class StripSpace : public Normalizer {
 public:
  explicit StripSpace(const JsonNode& node) : left_(node.at("strip_left").flag()), right_(node.at("strip_right").flag()) {}

  void apply(NormalText& t) const override {
    size_t first = std::string::npos;  // bytes of the first character that is no space, and of the end of the last such
    size_t end = 0;
    for (size_t at = 0; at < t.text.size();) {
      const size_t begin = at;
      if (is_white_space(next_code_point(t.text, at))) continue;
      if (first == std::string::npos) first = begin;
      end = at;
    }
    if (first == std::string::npos) first = t.text.size();
    if (!left_) first = 0;
    if (!right_) end = t.text.size();
    if (first > 0) t.at_start = false;
    t.text = first < end ? t.text.substr(first, end - first) : std::string();
  }

 private:
  bool left_;
  bool right_;
};

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(const JsonNode& node) {
    for (const JsonNode& item : sequence_items(node.at("normalizers"))) {
      if (auto step = make_normalizer(item)) steps_.push_back(std::move(step));
    }
  }
  void apply(NormalText& t) const override {
    for (const auto& step : steps_) step->apply(t);
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_normalizer(const JsonNode& node) {
  if (node.is_null()) return nullptr;
  const std::string& type = component_type(node);
  if (type == "NFC") return std::make_unique<Form>(NormalForm::nfc);
  if (type == "NFD") return std::make_unique<Form>(NormalForm::nfd);
  if (type == "NFKC") return std::make_unique<Form>(NormalForm::nfkc);
  if (type == "NFKD") return std::make_unique<Form>(NormalForm::nfkd);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (type == "Prepend") return std::make_unique<Prepend>(node);
  if (type == "Replace") return std::make_unique<Replace>(node);
  if (type == "Strip") return std::make_unique<StripSpace>(node);
  if (type == "Sequence") return std::make_unique<NormalizerSequence>(node);
  unknown_component(node, "NFC, NFD, NFKC, NFKD, Lowercase, ByteLevel, Prepend, Replace, Strip, Sequence");
}

TextPattern::TextPattern(const JsonNode& node) {
  if (!node.is_object() || node.has("String") == node.has("Regex")) {
    invalid(node.path(), R"({"String": …} or {"Regex": …})", node.is_object() ? "both or neither" : "another type");
  }
  if (node.has("Regex")) {
    regex_ = std::make_unique<TokenizerRegex>(node.at("Regex").text(), node.path() + ".Regex");
    return;
  }
  literal_ = node.at("String").text();
  if (literal_.empty()) invalid(node.path() + ".String", "text that is not empty", "\"\"");
}

TextPattern::~TextPattern() = default;

void TextPattern::for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const {
  if (regex_) return regex_->for_each_match(text, found);
  for (size_t at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, at + literal_.size())) {
    found(at, at + literal_.size());
  }
}

std::string TextPattern::replaced(std::string_view text, std::string_view content) const {
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for_each_match(text, [&](size_t begin, size_t end) {
    out += text.substr(done, begin - done);
    out += content;
    done = end;
  });
  out += text.substr(done);
  return out;
}

const std::string& component_type(const JsonNode& node) { return node.at("type").text(); }

std::vector<JsonNode> sequence_items(const JsonNode& list) {
  std::vector<JsonNode> items = list.items();
  if (items.size() > kMaxSequence) invalid(list.path(), fmt::format("at most {} steps", kMaxSequence), std::to_string(items.size()));
  return items;
}

void unknown_component(const JsonNode& node, std::string_view supported) {
  fail(ErrorCode::not_supported, node.path() + ".type", fmt::format("one of {}", supported), fmt::format("\"{}\"", printable(component_type(node))));
}

char32_t byte_level_character(unsigned char byte) {
  if ((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad)) return byte;
  if (byte <= ' ') return 0x100u + byte;          // 0x00..0x20 → U+0100..
  if (byte <= 0xa0) return 0x121u + byte - 0x7f;  // 0x7f..0xa0 → U+0121..
  return 0x143;                                   // 0xad
}

void append_byte_level(std::string_view text, std::string& out) {
  for (const char c : text) utf8_append(out, byte_level_character(static_cast<unsigned char>(c)));
}

}  // namespace attune
