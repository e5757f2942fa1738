#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "loader/jinja_value.h"

namespace attune::jinja {

/// JSON as values: objects keep their order. Throws Mistake for what is too deep, not UTF-8, or beyond 64 bits.
Value from_json(const nlohmann::ordered_json& json, int depth = 0);

/// How Python's json.dumps() is asked to write.
struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  bool lines = false;  ///< one item a line
  std::string indent;  ///< of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Python's json.dumps().
std::string to_json(const Value& v, const JsonStyle& style, Budget& budget);

}  // namespace attune::jinja
