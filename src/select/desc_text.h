#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "select/constraint.h"

namespace attune {

/// One `key=value` word of desc text.
struct DescWord {
  std::string key, value;
};

/// Splits "a=1 b=2" into words; InvalidArgument (named `where`) for a word without '=' or a repeated key.
std::vector<DescWord> split_desc(std::string_view where, std::string_view text);

void parse_value(std::string_view key, std::string_view text, int64_t& out);
void parse_value(std::string_view key, std::string_view text, double& out);
void parse_value(std::string_view key, std::string_view text, bool& out);

/// Parses an enum by its to_text() names; `domain` (a one_of) holds all its values.
template <class T>
requires std::is_enum_v<T>
void parse_enum(std::string_view key, std::string_view text, const Constraint<T>& domain, T& out);

[[noreturn]] void bad_value(std::string_view key, const std::string& expected, std::string_view got);

template <class T>
requires std::is_enum_v<T>
void parse_enum(std::string_view key, std::string_view text, const Constraint<T>& domain, T& out) {
  for (int i = 0; i < domain.count(); ++i) {
    if (to_text(domain.value(i)) != text) continue;
    out = domain.value(i);
    return;
  }
  bad_value(key, domain.text(T{}), text);
}

/// Desc text by the field list: the `always` fields and those that differ from their defaults, in list order.
template <class Op>
std::string fields_text(const typename Op::Desc& desc) {
  const typename Op::Capability none{};
  const typename Op::Desc defaults{};
  std::string out;
  Op::for_each_field(none, desc, defaults, [&](FieldName name, const auto&, const auto& value, const auto& fallback, const auto&) {
    if (name.key.empty() || (!name.always && value == fallback)) return;
    out += (out.empty() ? "" : " ") + std::string(name.key) + "=" + value_text(value);
  });
  return out;
}

/// Sets one field from a word of desc text; false if the op has no such key.
template <class Op>
bool parse_field(const DescWord& word, typename Op::Desc& desc) {
  const typename Op::Capability none{};
  const typename Op::Desc defaults{};
  bool found = false;
  Op::for_each_field(none, desc, defaults, [&](FieldName name, const auto&, auto& value, const auto&, const auto& domain) {
    if (name.key != word.key || name.key.empty()) return;
    if constexpr (std::is_enum_v<std::decay_t<decltype(value)>>)
      parse_enum(word.key, word.value, domain, value);
    else
      parse_value(word.key, word.value, value);
    found = true;
  });
  return found;
}

/// An op whose desc text has keys besides its fields: it names them in `kMoreKeys` ("a, b") and sets fields from such a word.
template <class Op>
concept HasMoreKeys = requires(std::string_view key, std::string_view value, typename Op::Desc& desc) {
  { Op::kMoreKeys } -> std::convertible_to<std::string_view>;
  { Op::parse_word(key, value, desc) } -> std::same_as<bool>;  // false: not one of these keys
};

/// An op whose fields constrain each other: its own validate() calls validate_fields().
template <class Op>
concept HasValidate = requires(const typename Op::Desc& desc) {
  Op::validate(desc);
};

/// Throws InvalidArgument for the first field whose value is outside its domain (sizes positive, heads bounded).
template <class Op>
void validate_fields(const typename Op::Desc& desc) {
  const typename Op::Capability none{};
  const typename Op::Desc defaults{};
  Op::for_each_field(none, desc, defaults, [&](FieldName name, const auto&, const auto& value, const auto& fallback, const auto& domain) {
    if (!domain.admits(value, fallback)) bad_value(name.field, domain.text(fallback), value_text(value));
  });
}

/// All keys of an op's desc text, for an error that lists them.
template <class Op>
std::string known_keys() {
  const typename Op::Capability none{};
  const typename Op::Desc defaults{};
  std::string out;
  if constexpr (HasMoreKeys<Op>) out = Op::kMoreKeys;
  Op::for_each_field(none, defaults, defaults, [&](FieldName name, const auto&, const auto&, const auto&, const auto&) {
    if (!name.key.empty()) out += (out.empty() ? "" : ", ") + std::string(name.key);
  });
  return out;
}

/// Sets what one word of desc text says, a field or another key of the op; false if the op has no such key.
template <class Op>
bool parse_word(const DescWord& word, typename Op::Desc& desc) {
  if constexpr (HasMoreKeys<Op>)
    if (Op::parse_word(word.key, word.value, desc)) return true;
  return parse_field<Op>(word, desc);
}

/// The inverse of an op's to_text(); unnamed fields keep their defaults. InvalidArgument names the key and what was expected. Validates.
template <class Op>
typename Op::Desc parse_desc(std::string_view text) {
  typename Op::Desc desc{};
  for (const auto& word : split_desc("desc", text))
    if (!parse_word<Op>(word, desc)) bad_value("desc", "one of the keys " + known_keys<Op>(), word.key);
  if constexpr (HasValidate<Op>)
    Op::validate(desc);
  else
    validate_fields<Op>(desc);
  return desc;
}

}  // namespace attune
