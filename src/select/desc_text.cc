#include "select/desc_text.h"

#include <charconv>
#include <cmath>
#include <set>

#include "core/error.h"

namespace attune {

void bad_value(std::string_view key, const std::string& expected, std::string_view got) { invalid(key, expected, printable(got)); }

std::vector<DescWord> split_desc(std::string_view where, std::string_view text) {
  if (text.size() > 65536) invalid(where, "at most 65536 bytes of desc text", fmt::format("{} bytes", text.size()));
  std::vector<DescWord> words;
  std::set<std::string> seen;
  for (size_t i = 0; i < text.size();) {
    const size_t start = text.find_first_not_of(" \t\n", i);
    if (start == std::string_view::npos) break;
    const size_t end = std::min(text.find_first_of(" \t\n", start), text.size());
    const std::string_view word = text.substr(start, end - start);
    const size_t eq = word.find('=');
    if (eq == std::string_view::npos || eq == 0 || eq + 1 == word.size()) invalid(where, "words of the form key=value", printable(word));
    words.push_back({std::string(word.substr(0, eq)), std::string(word.substr(eq + 1))});
    if (!seen.insert(words.back().key).second) invalid(where, "each key once", printable(words.back().key) + " twice");
    i = end;
  }
  return words;
}

void parse_value(std::string_view key, std::string_view text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) bad_value(key, "an integer", text);
}

void parse_value(std::string_view key, std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(out)) bad_value(key, "a finite number", text);
}

void parse_value(std::string_view key, std::string_view text, bool& out) {
  if (text != "yes" && text != "no") bad_value(key, "yes or no", text);
  out = text == "yes";
}

}  // namespace attune
