// attune completion: a script that completes commands and flags, made from the table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/kernels.h"
#include "attune/options.h"
#include "commands.h"
#include "terminal.h"

namespace attune::cli {
namespace {

std::string command_names() {
  std::string out;
  for (const CommandSpec& c : commands()) out += (out.empty() ? "" : " ") + std::string(c.name);
  return out + " --help --version";
}

std::string flags_of(std::string_view command) {
  std::string out;
  for (const OptionSpec& o : options())
    if (o.taken_by(command)) out += std::string(o.name) + " ";
  return out + "--help --help-all";
}

/// Every device that explain can be asked about.
std::string explained_devices() { return fmt::format("{}", fmt::join(device_names(), " ")); }

/// What may follow a flag: words to choose from, or a file.
std::string values_case() {
  const std::pair<std::string, std::string> words[] = {{"--device", "$devices"},
                                                       {"--dtype", "auto float32 bfloat16 float16"},
                                                       {"--kv-cache-dtype", "auto float32 bfloat16 float16 fp8"},
                                                       {"--load-format", "auto safetensors dummy"},
                                                       {"--weights", "auto copy mmap"},
                                                       {"--phase", "decode verify prefill"},
                                                       {"--log-level", "debug info warning error"}};
  std::string out;
  for (const auto& [flag, list] : words) out += fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); return ;;\n", flag, list);
  return out + "    --model|-m|--prompts|--input|--data|--out) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n";
}

std::string bash_script() {
  std::string cases;
  for (const CommandSpec& c : commands()) {
    const std::string words = c.name == "bench" ? "attention matmul generate " : c.name == "completion" ? "bash zsh " : "";
    cases += fmt::format("    {}) words=\"{}{}\" ;;\n", c.name, words, flags_of(c.name));
  }
  return fmt::format(
      "_attune() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\" words=\"\" devices=\"cpu cuda\"\n"
      "  if [ \"${{COMP_WORDS[1]}}\" = explain ]; then devices=\"{}\"; fi\n"
      "  COMPREPLY=()\n"
      "  case \"$before\" in\n{}  esac\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n{}    *) words=\"{}\" ;;\n  esac\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then words=\"{}\"; fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "}}\n"
      "complete -o default -F _attune attune\n",
      explained_devices(), values_case(), cases, command_names(), command_names());
}

}  // namespace

int run_completion(const Arguments& args) {
  const std::string shell = args.positionals().empty() ? "" : args.positionals()[0];
  if (shell != "bash" && shell != "zsh") fail(ErrorCode::invalid_argument, "completion", "bash or zsh", shell.empty() ? "nothing" : shell);
  write_out(shell == "zsh" ? "#compdef attune\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script() : bash_script());
  return 0;
}

}  // namespace attune::cli
