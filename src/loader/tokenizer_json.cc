#include "loader/tokenizer_json.h"

#include "core/error.h"
#include "core/utf8.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;
constexpr const char* kFile = "tokenizer.json";

/// Receives the events of the parser. `model.vocab` and `model.merges` go straight into their tables, the rest into a tree.
class TreeBuilder : public nlohmann::json_sax<json> {
 public:
  TreeBuilder(std::string file, TokenizerFile* tables) : file_(std::move(file)), tables_(tables) {}

  json take() { return std::move(root_); }

  bool null() override { return value(json(nullptr)); }
  bool boolean(bool v) override { return value(json(v)); }
  bool number_integer(number_integer_t v) override { return mode_ == Mode::vocab ? token_id(v) : value(json(v)); }
  bool number_unsigned(number_unsigned_t v) override {
    if (mode_ == Mode::vocab) return token_id(v > static_cast<uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<int64_t>(v));
    return value(json(v));
  }
  bool number_float(number_float_t v, const string_t& /*text*/) override { return value(json(v)); }
  bool binary(binary_t& /*bytes*/) override { return value(json(nullptr)); }

  bool string(string_t& v) override {
    if (mode_ == Mode::merges) return merge_line(v);
    if (mode_ == Mode::merge_pair) return merge_half(v);
    return value(json(std::move(v)));
  }

  bool key(string_t& k) override {
    if (mode_ == Mode::vocab) {
      key_ = std::move(k);
      return true;
    }
    if (open_.back()->contains(k)) invalid(file_, "distinct keys", fmt::format("\"{}\" twice", printable(k)));
    keys_.back() = k;
    return true;
  }

  bool start_object(size_t /*elements*/) override {
    if (mode_ == Mode::dom && at_table("vocab")) {
      mode_ = Mode::vocab;
      tables_->has_vocab = true;
      return true;
    }
    return open(json::object());
  }

  bool start_array(size_t /*elements*/) override {
    if (mode_ == Mode::dom && at_table("merges")) {
      mode_ = Mode::merges;
      tables_->has_merges = true;
      return true;
    }
    if (mode_ == Mode::merges) {
      mode_ = Mode::merge_pair;
      halves_ = 0;
      tables_->merges.emplace_back();
      return true;
    }
    return open(json::array());
  }

  bool end_object() override {
    if (mode_ == Mode::vocab) {
      mode_ = Mode::dom;
      return true;
    }
    return close();
  }

  bool end_array() override {
    if (mode_ == Mode::merge_pair) {
      if (halves_ != 2) bad_merge("a pair of tokens", fmt::format("{} tokens", halves_));
      mode_ = Mode::merges;
      return true;
    }
    if (mode_ == Mode::merges) {
      mode_ = Mode::dom;
      return true;
    }
    return close();
  }

  bool parse_error(size_t position, const std::string& last, const nlohmann::json::exception& /*e*/) override {
    invalid(file_, "valid JSON", fmt::format("an error at byte {} near \"{}\"", position, printable(last)));
  }

 private:
  enum class Mode { dom, vocab, merges, merge_pair };

  bool at_table(const char* name) const {
    return tables_ != nullptr && open_.size() == 2 && open_[1]->is_object() && keys_[0] == "model" && keys_[1] == name;
  }

  [[noreturn]] void bad_merge(std::string_view expected, std::string_view got) const {
    const size_t index = tables_->merges.size() - (mode_ == Mode::merge_pair ? 1 : 0);
    invalid(fmt::format("{}: model.merges[{}]", file_, index), expected, got);
  }

  bool token_id(int64_t id) {
    if (id < 0 || id > kMaxTokenId) {
      invalid(fmt::format("{}: model.vocab[\"{}\"]", file_, printable(key_)), fmt::format("an id from 0 to {}", kMaxTokenId), std::to_string(id));
    }
    tables_->vocab.emplace_back(std::move(key_), static_cast<int32_t>(id));
    return true;
  }

  bool merge_line(const std::string& line) {
    if (line.starts_with("#version")) return true;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      bad_merge("two tokens with one space between", fmt::format("\"{}\"", printable(line)));
    }
    tables_->merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }

  bool merge_half(std::string& half) {
    if (halves_ == 2) bad_merge("a pair of tokens", "more than 2");
    (halves_++ == 0 ? tables_->merges.back().first : tables_->merges.back().second) = std::move(half);
    return true;
  }

  /// The place of the next value in the tree.
  json* place(json&& v) {
    if (mode_ == Mode::vocab) {
      invalid(fmt::format("{}: model.vocab[\"{}\"]", file_, printable(key_)), "an id", v.type_name());
    }
    if (mode_ != Mode::dom) bad_merge("two tokens as text or as a pair", v.type_name());
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    json& top = *open_.back();
    if (top.is_array()) {
      top.push_back(std::move(v));
      return &top.back();
    }
    return &(top[keys_.back()] = std::move(v));
  }

  bool value(json&& v) {
    place(std::move(v));
    return true;
  }

  bool open(json&& v) {
    if (open_.size() >= kMaxDepth) invalid(file_, fmt::format("at most {} levels of nesting", kMaxDepth), "more");
    open_.push_back(place(std::move(v)));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  std::string file_;
  TokenizerFile* tables_;
  json root_;
  Mode mode_ = Mode::dom;
  std::vector<json*> open_;
  std::vector<std::string> keys_;
  std::string key_;
  int halves_ = 0;
};

json parse_tree(std::string_view text, std::string_view file, TokenizerFile* tables) {
  if (text.size() > kMaxTokenizerBytes) {
    invalid(file, fmt::format("at most {} bytes", kMaxTokenizerBytes), std::to_string(text.size()));
  }
  TreeBuilder builder{std::string(file), tables};
  json::sax_parse(text.begin(), text.end(), &builder);
  json root = builder.take();
  if (!root.is_object()) invalid(file, "an object", root.type_name());
  return root;
}

}  // namespace

TokenizerFile parse_tokenizer_file(std::string_view text) {
  TokenizerFile file;
  file.root = parse_tree(text, kFile, &file);
  return file;
}

json parse_json_tree(std::string_view text, std::string_view file) { return parse_tree(text, file, nullptr); }

void JsonNode::wrong_type(const char* expected) const { invalid(path_, expected, value_->type_name()); }

bool JsonNode::has(const char* key) const {
  if (!value_->is_object()) wrong_type("an object");
  const auto it = value_->find(key);
  return it != value_->end() && !it->is_null();
}

JsonNode JsonNode::at(const char* key) const {
  if (!value_->is_object()) wrong_type("an object");
  const auto it = value_->find(key);
  if (it == value_->end()) invalid(path_, fmt::format("a member \"{}\"", key), "none");
  return {*it, fmt::format("{}.{}", path_, key)};
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) wrong_type("an array");
  std::vector<JsonNode> out;
  out.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i));
  return out;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
  if (!value_->is_object()) wrong_type("an object");
  std::vector<std::pair<std::string, JsonNode>> out;
  for (const auto& [key, value] : value_->items()) out.emplace_back(key, JsonNode(value, fmt::format("{}[\"{}\"]", path_, printable(key))));
  return out;
}

const std::string& JsonNode::text() const {
  if (!value_->is_string()) wrong_type("text");
  return value_->get_ref<const std::string&>();
}

bool JsonNode::flag() const {
  if (!value_->is_boolean()) wrong_type("true or false");
  return value_->get<bool>();
}

int64_t JsonNode::integer(int64_t low, int64_t high) const {
  const std::string expected = fmt::format("an integer from {} to {}", low, high);
  if (!value_->is_number_integer()) wrong_type(expected.c_str());
  const bool too_big = value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t v = too_big ? INT64_MAX : value_->get<int64_t>();
  if (v < low || v > high) invalid(path_, expected, value_->dump());
  return v;
}

double JsonNode::number() const {
  if (!value_->is_number()) wrong_type("a number");
  return value_->get<double>();
}

const std::string& single_character(const JsonNode& node) {
  const std::string& s = node.text();
  if (s.empty() || utf8_sequence(s) != s.size()) invalid(node.path(), "one character", fmt::format("\"{}\"", printable(s)));
  return s;
}

}  // namespace attune
