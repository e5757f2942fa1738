#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attune {

/// A sub-command of the program.
struct CommandSpec {
  std::string_view name;
  std::string_view arguments;  ///< positional arguments, as --help shows them
  std::string_view group;
  std::string_view help;
};

/// One flag and, mirrored one to one, one variable of the environment.
struct OptionSpec {
  std::string_view name;          ///< "--max-num-seqs"
  std::string_view metavar;       ///< "N"; empty for a switch
  std::string_view default_text;  ///< empty: none
  std::string_view group;
  std::string_view commands;  ///< names of the commands that take it, separated by spaces; "*" for all
  std::string_view help;
  std::string_view short_name = {};  ///< "-v"
  bool repeatable = false;           ///< may be given more than once; in the environment separated by commas
  bool rare = false;                 ///< shown by --help-all alone
  /// What the flag is to some of its commands, where that is something else.
  struct Meaning {
    std::string_view commands, metavar, help;
  };
  Meaning other = {};

  bool is_switch() const { return metavar.empty(); }
  bool taken_by(std::string_view command) const;
  /// Metavar and help as `command` is to read them.
  Meaning meaning_for(std::string_view command) const;
  /// "ATTUNE_MAX_NUM_SEQS" for "--max-num-seqs".
  std::string variable() const;
};

/// Every sub-command, and every flag of every sub-command, in the order of --help.
const std::vector<CommandSpec>& commands();
const std::vector<OptionSpec>& options();

/// The flag called `name` ("--json" or its short form); null if there is none.
const OptionSpec* find_option(std::string_view name);

/// Flag and value of each ATTUNE_* variable that is set. A switch is on for 1, true, yes or on and left out for 0, false, no, off or nothing.
/// An unknown or retired variable is InvalidArgument and names its replacement or the nearest known one.
std::vector<std::pair<std::string, std::string>> environment_options();

/// The value of any variable of the environment. Nothing else in the project reads the environment.
std::optional<std::string> environment(std::string_view name);

/// Where what is known of this machine is kept (verified kernels, probes, measured times): attune/ in $XDG_CACHE_HOME or ~/.cache; empty if neither
/// is known.
std::string cache_folder();

/// The candidate nearest to a misspelt word, or what another tool's `word` is called here; empty if nothing is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// The flag that an unknown one most likely means ("--temp", "--n-predict", "--max-num-seq"); empty if nothing is near.
std::string nearest_option(std::string_view name, std::string_view command);

/// docs/generated/options.md.
std::string options_page();

/// The whole environment, for a child process that is to have the same.
char** environment_of_children();

}  // namespace attune
