#include "loader/json_file.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/mapped_file.h"

namespace attune {

namespace {

using nlohmann::json;

/// What stands at `offset`, for a message: a quoted character, or the end of the text.
std::string shown_at(std::string_view text, size_t offset) {
  if (offset >= text.size()) return fmt::format("the end of the text at byte {}", text.size());
  const size_t n = utf8_sequence(text.substr(offset));
  return fmt::format("'{}' at byte {}", printable(text.substr(offset, n ? n : 1)), offset);
}

/// Builds the value from the parser's events; the open containers stand on an explicit stack.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view text, std::string_view where, const JsonLimits& limits) : text_(text), where_(where), limits_(limits) {}

  json take() { return std::move(root_); }

  bool null() override { return add(json()), true; }
  bool boolean(bool value) override { return add(json(value)), true; }
  bool number_integer(number_integer_t value) override { return add(json(value)), true; }
  bool number_unsigned(number_unsigned_t value) override { return add(json(value)), true; }
  bool number_float(number_float_t value, const string_t&) override { return add(json(value)), true; }
  bool string(string_t& value) override { return add(json(std::move(value))), true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(json::object()); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_object() override { return stack_.pop_back(), true; }
  bool end_array() override { return stack_.pop_back(), true; }

  bool key(string_t& name) override {
    json& object = *stack_.back();
    if (limits_.unique_keys && object.contains(name)) invalid(where_, "each key once", fmt::format("key '{}' twice", printable(name)));
    member_ = &object[std::move(name)];
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    invalid(where_, "JSON", shown_at(text_, position ? position - 1 : 0));
  }

 private:
  json* add(json&& value) {
    if (stack_.empty()) return &(root_ = std::move(value));
    json& parent = *stack_.back();
    if (parent.is_object()) return &(*member_ = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool open(json&& container) {
    if (stack_.size() >= static_cast<size_t>(limits_.depth))
      invalid(where_, fmt::format("JSON of at most {} levels", limits_.depth), "deeper nesting");
    stack_.push_back(add(std::move(container)));
    return true;
  }

  std::string_view text_;
  std::string_view where_;
  const JsonLimits& limits_;
  json root_;
  json* member_ = nullptr;
  std::vector<json*> stack_;
};

bool fits(const json& value, int64_t lo, int64_t hi) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  const int64_t x = value.get<int64_t>();
  return x >= lo && x <= hi;
}

std::string interval(int64_t lo, int64_t hi) { return fmt::format("integer from {} to {}", lo, hi); }

constexpr size_t kMaxListed = 4096;

}  // namespace

json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  if (text.size() > limits.bytes) invalid(where, fmt::format("at most {} bytes", limits.bytes), fmt::format("{} bytes", text.size()));
  // The parser takes a zero byte for the end of the text; what follows would be ignored.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) invalid(where, "JSON", shown_at(text, zero));
  Builder builder(text, where, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  const MappedFile file = MappedFile::open(path);
  return parse_json(file.text(), printable(path.filename().string()), limits);
}

std::string printable_json(const json& value) {
  if (value.is_structured() && value.size() > 16) return value.is_array() ? "a long list" : "a large object";
  return printable(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

JsonFields::JsonFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) invalid(where_, "a JSON object", printable_json(object));
}

const json* JsonFields::find(const char* key) const {
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool JsonFields::is_null(const char* key) const {
  const auto it = object_.find(key);
  return it != object_.end() && it->is_null();
}

void JsonFields::refuse(const char* key, std::string_view expected) const {
  const json* value = find(key);
  invalid(fmt::format("{}: {}", where_, key), expected, value ? printable_json(*value) : "nothing");
}

std::optional<int64_t> JsonFields::integer(const char* key, int64_t lo, int64_t hi) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  if (!fits(*value, lo, hi)) refuse(key, "an " + interval(lo, hi));
  return value->get<int64_t>();
}

std::optional<double> JsonFields::number(const char* key, double lo, double hi) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  const double x = value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(x >= lo && x <= hi)) refuse(key, fmt::format("a number from {} to {}", lo, hi));
  return x;
}

std::optional<bool> JsonFields::boolean(const char* key) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse(key, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonFields::string(const char* key) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse(key, "a string");
  return value->get<std::string>();
}

std::optional<std::vector<int64_t>> JsonFields::integers(const char* key, int64_t lo, int64_t hi) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  if (fits(*value, lo, hi)) return std::vector<int64_t>{value->get<int64_t>()};
  const std::string expected = fmt::format("an {} or a list of at most {} such", interval(lo, hi), kMaxListed);
  if (!value->is_array() || value->size() > kMaxListed) refuse(key, expected);
  std::vector<int64_t> out;
  for (const json& element : *value) {
    if (!fits(element, lo, hi)) refuse(key, expected);
    out.push_back(element.get<int64_t>());
  }
  return out;
}

std::optional<std::vector<std::string>> JsonFields::strings(const char* key) const {
  const json* value = find(key);
  if (!value) return std::nullopt;
  const std::string expected = fmt::format("a list of at most {} strings", kMaxListed);
  if (!value->is_array() || value->size() > kMaxListed) refuse(key, expected);
  std::vector<std::string> out;
  for (const json& element : *value) {
    if (!element.is_string()) refuse(key, expected);
    out.push_back(element.get<std::string>());
  }
  return out;
}

}  // namespace attune
