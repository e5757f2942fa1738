#include "help.h"

#include <fmt/format.h>

#include "attune/options.h"
#include "attune/version.h"
#include "terminal.h"

namespace attune::cli {
namespace {

constexpr size_t kIndent = 28;

/// `text` broken into lines that fit beside a column of kIndent.
std::string wrapped(const std::string& text) {
  const size_t room = help_width() - kIndent - 1;
  std::string out;
  size_t column = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const size_t length = end - at;
    if (column > 0 && column + 1 + length > room) out += "\n" + std::string(kIndent, ' '), column = 0;
    if (column > 0) out += " ", ++column;
    out += text.substr(at, length), column += length;
    at = end + 1;
  }
  return out;
}

std::string row(const std::string& left, const std::string& right) {
  return left.size() + 2 > kIndent ? left + "\n" + std::string(kIndent, ' ') + wrapped(right) + "\n"
                                   : fmt::format("{:<{}}{}\n", left, kIndent, wrapped(right));
}

}  // namespace

std::string main_help() {
  std::string out = fmt::format("attune {}: language models on declared, proven and explained kernels\n", version());
  out += "  attune COMMAND [ARGUMENTS] [FLAGS]       attune COMMAND --help lists the flags\n";
  std::string_view group;
  for (const CommandSpec& c : commands()) {
    if (c.group != group) out += fmt::format("\n{}\n", c.group);
    group = c.group;
    out += fmt::format("  {:<12}{}\n", c.name, c.help);
  }
  out += "  --version   [--json] what this build is made of\n";
  out +=
      "\nExit codes: 0 done, 1 some parts failed, 2 InvalidArgument, 3 NotSupported,\n"
      "4 OutOfMemory, 5 IoError, 6 DeviceError, 70 Internal (a bug), 130 interrupted\n";
  return out;
}

std::string command_help(const std::string& command, bool all) {
  std::string out;
  for (const CommandSpec& c : commands())
    if (c.name == command) out = fmt::format("attune {}{}{} [FLAGS]\n  {}\n", c.name, c.arguments.empty() ? "" : " ", c.arguments, c.help);
  std::string_view group;
  size_t left_out = 0;
  for (const OptionSpec& o : options()) {
    if (!o.taken_by(command)) continue;
    if (o.rare && !all) {
      ++left_out;
      continue;
    }
    if (o.group != group) out += fmt::format("\n{}\n", o.group);
    group = o.group;
    std::string left = fmt::format("  {}{}", o.short_name.empty() ? "" : std::string(o.short_name) + ", ", o.name);
    const OptionSpec::Meaning meaning = o.meaning_for(command);
    if (!o.is_switch()) left += " " + std::string(meaning.metavar);
    std::string right(meaning.help);
    if (o.repeatable) right += " (repeatable)";
    if (!o.default_text.empty()) right += fmt::format(" [{}]", o.default_text);
    out += row(left, right);
  }
  out += "\nEach flag has a variable: --max-num-seqs is ATTUNE_MAX_NUM_SEQS.\n";
  return left_out == 0 ? out : out + fmt::format("{} more flags: attune {} --help-all\n", left_out, command);
}

void unknown_command(const std::string& word) {
  std::vector<std::string> names;
  std::string all;
  for (const CommandSpec& c : commands()) names.emplace_back(c.name), all += (all.empty() ? "" : ", ") + names.back();
  names.insert(names.end(), {"--help", "--version"});
  const std::string near = nearest_name(word, names);
  fail(ErrorCode::invalid_argument, "command", "one of " + all, near.empty() ? word : fmt::format("{}; did you mean {}?", word, near));
}

}  // namespace attune::cli
