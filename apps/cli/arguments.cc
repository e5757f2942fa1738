#include "arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "attune/options.h"
#include "terminal.h"

namespace attune::cli {
namespace {

/// Parses the whole text as a T; false if it is none.
template <class T>
bool parse(std::string_view text, T& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Words before a "--", with short names written out (newer versions of CLI11 take no "-n" beside "--n"), and those behind it. A flag must have its
/// value: "--max-tokens= 5" would take the next word, whatever it is.
struct Words {
  std::vector<std::string> flags, rest;

  Words(const std::string& command, int argc, const char* const* argv) {
    std::string waiting;  // the flag whose value comes next
    for (int i = 0; i < argc; ++i) {
      const std::string word = argv[i];
      if (waiting.empty() && word == "--") {
        rest.assign(argv + i + 1, argv + argc);
        break;
      }
      const bool is_short = word.size() > 1 && word[0] == '-' && word[1] != '-';
      const size_t length = is_short ? 2 : std::min(word.find('='), word.size());
      const OptionSpec* o = waiting.empty() ? find_option(word.substr(0, length)) : nullptr;
      waiting.clear();
      if (!o || !o->taken_by(command) || (is_short && o->is_switch() && word.size() > 2)) {
        flags.push_back(word);
        continue;
      }
      if (word.ends_with('=') && word.size() == length + 1) fail(ErrorCode::invalid_argument, o->name, "a value right after the '='", "none");
      const std::string value = word.substr(length);
      flags.push_back(std::string(o->name) + (value.empty() || value[0] == '=' ? "" : "=") + value);
      if (value.empty() && !o->is_switch()) waiting = word;
    }
    if (!waiting.empty()) fail(ErrorCode::invalid_argument, waiting, "a value", "none");
  }
};

}  // namespace

Arguments::Arguments(std::string command, int argc, const char* const* argv) : command_(std::move(command)) {
  Words words(command_, argc, argv);
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag_callback("-h,--help", [this] { help_ = true; });
  app.add_flag_callback("--help-all", [this] { help_all_ = true; });
  for (const OptionSpec& o : options()) {
    if (!o.taken_by(command_)) continue;
    const std::string name(o.name);
    if (o.is_switch()) {
      app.add_flag_callback(name, [this, name] { values_[name] = {{""}, false}; });
      continue;
    }
    const auto take = [this, name](const CLI::results_t& texts) {
      values_[name] = {texts, false};
      return true;
    };
    app.add_option(name, take)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  std::reverse(words.flags.begin(), words.flags.end());
  try {
    app.parse(words.flags);
  } catch (const CLI::ParseError& e) {
    fail(ErrorCode::invalid_argument, command_, "flags with their values (attune " + command_ + " --help)", e.what());
  }
  take_rest(app.remaining());
  positionals_.insert(positionals_.end(), words.rest.begin(), words.rest.end());
  if (!help()) add_environment();
}

/// What CLI11 knew no flag for: positional arguments, and misspelt flags.
void Arguments::take_rest(const std::vector<std::string>& rest) {
  for (const std::string& word : rest) {
    if (word.size() < 2 || word[0] != '-') {
      positionals_.push_back(word);
      continue;
    }
    const std::string name = word.substr(0, word.find('='));
    const std::string near = nearest_option(name, command_);
    fail(ErrorCode::invalid_argument, command_, "a flag that it takes (attune " + command_ + " --help)",
         near.empty() ? name : fmt::format("{}; did you mean {}?", name, near));
  }
}

void Arguments::add_environment() {
  std::map<std::string, Value> found;
  for (auto& [flag, text] : environment_options()) {
    if (!find_option(flag)->taken_by(command_)) continue;
    found[flag].texts.push_back(text);
    found[flag].from_environment = true;
  }
  values_.merge(found);  // a flag that is already there stays
}

std::string Arguments::source(std::string_view flag) const {
  const auto it = values_.find(std::string(flag));
  return it != values_.end() && it->second.from_environment ? find_option(flag)->variable() : std::string(flag);
}

std::string Arguments::text(std::string_view flag, std::string_view fallback) const {
  const auto it = values_.find(std::string(flag));
  return it == values_.end() ? std::string(fallback) : it->second.texts.back();
}

std::vector<std::string> Arguments::list(std::string_view flag) const {
  const auto it = values_.find(std::string(flag));
  return it == values_.end() ? std::vector<std::string>{} : it->second.texts;
}

int64_t Arguments::integer(std::string_view flag, int64_t fallback) const {
  if (!has(flag)) return fallback;
  int64_t out = 0;
  if (!parse(text(flag), out)) fail(ErrorCode::invalid_argument, source(flag), "an integer", "'" + text(flag) + "'");
  return out;
}

uint64_t Arguments::natural(std::string_view flag, uint64_t fallback) const {
  if (!has(flag)) return fallback;
  uint64_t out = 0;
  if (!parse(text(flag), out)) fail(ErrorCode::invalid_argument, source(flag), "an integer from 0 to 18446744073709551615", "'" + text(flag) + "'");
  return out;
}

double Arguments::number(std::string_view flag, double fallback) const {
  if (!has(flag)) return fallback;
  double out = 0;
  if (!parse(text(flag), out)) fail(ErrorCode::invalid_argument, source(flag), "a number", "'" + text(flag) + "'");
  return out;
}

int64_t Arguments::bytes(std::string_view flag, int64_t fallback) const {
  if (!has(flag)) return fallback;
  std::string digits = text(flag);
  int shift = 0;
  if (const size_t unit = std::string_view("KMGT").find(digits.empty() ? ' ' : digits.back()); unit != std::string_view::npos)
    shift = 10 * (static_cast<int>(unit) + 1), digits.pop_back();
  int64_t out = 0;
  if (!parse(digits, out) || out < 0 || out > (INT64_MAX >> shift))
    fail(ErrorCode::invalid_argument, source(flag), "bytes, such as 536870912 or 512M", "'" + text(flag) + "'");
  return out << shift;
}

std::vector<int64_t> Arguments::integers(std::string_view flag) const {
  std::vector<int64_t> out;
  for (const std::string& value : list(flag)) {
    for (size_t at = 0; at <= value.size();) {
      const size_t comma = std::min(value.find(',', at), value.size());
      int64_t x = 0;
      if (!parse(std::string_view(value).substr(at, comma - at), x)) fail(ErrorCode::invalid_argument, source(flag), "integers", "'" + value + "'");
      out.push_back(x);
      at = comma + 1;
    }
  }
  return out;
}

}  // namespace attune::cli
