#pragma once

#include <string>

namespace attune::cli {

/// `attune --help`.
std::string main_help();

/// `attune COMMAND --help`: its usual flags in groups, from the table; with `all` (--help-all) every one.
std::string command_help(const std::string& command, bool all);

/// Throws InvalidArgument, with the nearest command.
[[noreturn]] void unknown_command(const std::string& word);

}  // namespace attune::cli
