// The program: finds the command, runs it, turns an Error into one line and an exit code.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "attune/options.h"
#include "attune/version.h"
#include "commands.h"
#include "help.h"
#include "terminal.h"

namespace attune::cli {
namespace {

struct Entry {
  std::string_view name;
  int (*run)(const Arguments&);
};

constexpr Entry kCommands[] = {{"generate", run_generate}, {"score", run_score},           {"eval", run_eval},
                               {"tokenize", run_tokenize}, {"detokenize", run_detokenize}, {"explain", run_explain},
                               {"kernels", run_kernels},   {"bench", run_bench},           {"verify", run_verify},
                               {"docs", run_docs},         {"completion", run_completion}};

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 2;
    case ErrorCode::not_supported: return 3;
    case ErrorCode::out_of_memory: return 4;
    case ErrorCode::io_error: return 5;
    case ErrorCode::device_error: return 6;
    case ErrorCode::internal: break;
  }
  return 70;
}

LogLevel log_level(const Arguments& args) {
  const std::string level = args.text("--log-level", args.has("--verbose") ? "info" : "warning");
  if (level == "debug") return LogLevel::debug;
  if (level == "info") return LogLevel::info;
  if (level == "warning") return LogLevel::warning;
  if (level == "error") return LogLevel::error;
  fail(ErrorCode::invalid_argument, args.source("--log-level"), "debug, info, warning or error", "'" + level + "'");
}

int write_version(bool json) {
  write_out(json ? build_info_json() + "\n" : fmt::format("attune {}\n", version()));
  return 0;
}

/// `attune help COMMAND`.
std::string help_on(const std::string& command) {
  for (const Entry& entry : kCommands)
    if (entry.name == command) return command_help(command, false);
  unknown_command(command);
}

int run(int argc, const char* const* argv) {
  const std::string first = argc > 1 ? argv[1] : "--help";
  if (first == "--help" || first == "-h" || first == "help") {
    write_out(argc > 2 && first == "help" ? help_on(argv[2]) : main_help());
    return argc > 1 ? 0 : 2;
  }
  if (first == kVerifyChild && argc == 3) return run_verify_child(argv[2]);
  if (first == "--version" || first == "-V") {
    bool json = argc > 2 && std::string_view(argv[2]) == "--json";
    if (argc > (json ? 3 : 2)) fail(ErrorCode::invalid_argument, first, "nothing or --json after it", argv[json ? 3 : 2]);
    for (const auto& [flag, text] : environment_options()) json |= flag == "--json";  // and a misspelt variable is refused
    return write_version(json);
  }
  for (const Entry& command : kCommands) {
    if (command.name != first) continue;
    const Arguments args(first, argc - 2, argv + 2);
    if (args.help()) {
      write_out(command_help(first, args.help_all()));
      return 0;
    }
    show_log(log_level(args));
    show_progress();
    return command.run(args);
  }
  unknown_command(first);
}

}  // namespace
}  // namespace attune::cli

int main(int argc, char** argv) {
  using namespace attune;
  cli::ignore_broken_pipe();
  try {
    return cli::run(argc, argv);
  } catch (const Error& e) {
    cli::write_note("attune: " + e.message());
    return cli::exit_code(e.code());
  } catch (const std::bad_alloc&) {
    cli::write_note("attune: memory: expected more; got none");
    return cli::exit_code(ErrorCode::out_of_memory);
  } catch (const std::exception& e) {
    cli::write_note(fmt::format("attune: internal: expected no such failure; got {}", e.what()));
    return cli::exit_code(ErrorCode::internal);
  }
}
