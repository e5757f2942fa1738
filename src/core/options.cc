// The one table of every flag and variable, and the one place that reads the environment.
#include "attune/options.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "core/error.h"

namespace attune {
namespace {

constexpr std::string_view kEngineUsers = "generate score eval bench";
constexpr std::string_view kModelUsers = "generate score eval tokenize detokenize explain bench";
constexpr std::string_view kSelectionUsers = "generate score eval explain bench";
constexpr std::string_view kKernelUsers = "generate score eval explain bench verify";
constexpr std::string_view kPrefix = "ATTUNE_";

/// Names of other tools, and retired ones, with what they are called here.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"--attention-backend", "--kernel"},
                                                                         {"--batch", "--batch-size"},
                                                                         {"--cache-type-k", "--kv-cache-dtype"},
                                                                         {"--ctx-size", "--max-model-len"},
                                                                         {"--context-length", "--max-model-len"},
                                                                         {"--file", "--prompts"},
                                                                         {"--model-path", "--model"},
                                                                         {"--max-new-tokens", "--max-tokens"},
                                                                         {"--n-gen", "--output-len"},
                                                                         {"--n-predict", "--max-tokens"},
                                                                         {"--n-prompt", "--input-len"},
                                                                         {"--num-beams", "--n"},
                                                                         {"--parallel", "--max-num-seqs"},
                                                                         {"--max-running-requests", "--max-num-seqs"},
                                                                         {"--prompt-len", "--input-len"},
                                                                         {"--repeat-penalty", "--repetition-penalty"},
                                                                         {"--samples", "--n"},
                                                                         {"--temp", "--temperature"},
                                                                         {"--threads-batch", "--threads"},
                                                                         {"--ubatch-size", "--max-num-batched-tokens"}};

bool has_word(std::string_view list, std::string_view word) {
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

/// Edit distance in which a swap of neighbours counts once.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

bool is_subsequence(std::string_view part, std::string_view whole) {
  size_t at = 0;
  for (const char c : whole) at += at < part.size() && part[at] == c;
  return at == part.size();
}

std::string flag_of(std::string_view variable) {
  std::string flag = "--";
  for (const char c : variable.substr(kPrefix.size())) flag += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return flag;
}

[[noreturn]] void unknown_variable(const std::string& name) {
  const std::string flag = nearest_option(flag_of(name), "");
  const OptionSpec* near = find_option(flag);
  invalid(printable(name), "a known variable (docs/generated/options.md lists them)",
          near ? fmt::format("an unknown one; did you mean {}?", near->variable()) : "an unknown one");
}

/// The value of a switch in the environment.
bool switch_value(const std::string& name, std::string value) {
  for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (value == "1" || value == "true" || value == "yes" || value == "on") return true;
  if (value.empty() || value == "0" || value == "false" || value == "no" || value == "off") return false;
  invalid(name, "1, true, yes, on, or 0, false, no, off", printable(value));
}

void add_values(const OptionSpec& option, const std::string& name, const std::string& value, std::vector<std::pair<std::string, std::string>>& out) {
  if (option.is_switch()) {
    if (switch_value(name, value)) out.emplace_back(option.name, "");
    return;
  }
  if (!option.repeatable) {
    out.emplace_back(option.name, value);
    return;
  }
  for (size_t at = 0; at <= value.size();) {
    const size_t comma = std::min(value.find(',', at), value.size());
    if (comma > at) out.emplace_back(option.name, value.substr(at, comma - at));
    at = comma + 1;
  }
}

/// Left to --help-all.
OptionSpec rare(OptionSpec option) {
  option.rare = true;
  return option;
}

std::string escape_cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

}  // namespace

const std::vector<CommandSpec>& commands() {
  static const std::vector<CommandSpec> all{
      {"generate", "[PROMPT...]", "Run a model", "text from prompts, streamed, or JSON lines in and out"},
      {"score", "", "Run a model", "log-probabilities of given texts, and their perplexity"},
      {"eval", "", "Run a model", "accuracy on problems whose answers follow the last ####"},
      {"tokenize", "[TEXT...]", "Run a model", "token ids of texts"},
      {"detokenize", "[ID...]", "Run a model", "text of token ids"},
      {"explain", "[OP]", "Look inside", "which kernel is chosen, which not, and why"},
      {"kernels", "", "Look inside", "what each declared kernel can do"},
      {"bench", "attention|matmul|generate", "Look inside", "time kernels or a whole model on this machine"},
      {"verify", "", "Look inside", "check every declared kernel against the reference on this machine"},
      {"docs", "", "About", "write the pages of docs/generated"},
      {"completion", "bash|zsh", "About", "a completion script for your shell"},
  };
  return all;
}

const std::vector<OptionSpec>& options() {
  static const std::vector<OptionSpec> all{
      {"--model", "DIR|ID", "embedded", "Model", kModelUsers, "folder, or Hugging Face id in the cache", "-m"},
      {.name = "--device",
       .metavar = "NAME",
       .default_text = "cpu",
       .group = "Model",
       .commands = kKernelUsers,
       .help = "cpu, cuda (cuda:1: the second of several)",
       .other = {"explain", "NAME", "cpu, cuda, or one to judge kernels for as if it were here: h200, mi300x, ..."}},
      {"--dtype", "D", "auto", "Model", kSelectionUsers, "auto, float32, bfloat16, float16"},
      {"--kv-cache-dtype", "D", "auto", "Model", kSelectionUsers, "auto, float32, bfloat16, float16, fp8"},
      {"--max-model-len", "N", "the model's", "Model", kEngineUsers, "longest context in tokens"},
      rare({"--load-format", "F", "auto", "Model", kEngineUsers, "safetensors, or dummy: random weights"}),
      rare({"--weights", "HOW", "auto", "Model", kEngineUsers, "copy into huge pages, or mmap: in place"}),

      {"--prompts", "FILE", "", "Input and output", "generate", "JSON lines with prompt, messages or token_ids; -: stdin"},
      {"--input", "FILE", "", "Input and output", "score", "JSON lines as for generate; -: stdin"},
      {"--data", "FILE", "", "Input and output", "eval", "JSON lines with prompt or messages, and answer; -: stdin"},
      {"--limit", "N", "all", "Input and output", "eval", "only the first N problems"},
      {"--chat", "", "", "Input and output", "generate score eval", "use the chat template (generate, eval: by default)"},
      {"--raw", "", "", "Input and output", "generate score eval", "no chat template (score: by default)"},
      {"--top-logprobs", "K", "0", "Input and output", "score", "also the K likeliest tokens of each position"},
      {"--no-add-special-tokens", "", "", "Input and output", "tokenize", "leave out what the tokenizer adds, such as a leading <s>"},
      {"--skip-special-tokens", "", "", "Input and output", "detokenize", "leave special tokens out of the text"},
      {"--out", "DIR", "", "Input and output", "docs", "folder to write to"},
      {"--json", "", "", "Input and output", "generate score eval tokenize detokenize explain kernels bench verify",
       "JSON on stdout, one object a line"},
      {"--markdown", "", "", "Input and output", "kernels bench verify", "a table, one row a kernel (verify: of --mode bench)"},
      rare({"--csv", "", "", "Input and output", "bench verify", "comma-separated values, one row a kernel (verify: of --mode bench)"}),

      {"--temperature", "T", "the model's", "Sampling", "generate eval", "0: greedy (eval's default)"},
      {"--top-k", "K", "the model's", "Sampling", "generate eval", "the K likeliest; 0 or -1: all"},
      {"--top-p", "P", "the model's", "Sampling", "generate eval", "the likeliest that make up P"},
      rare({"--min-p", "P", "the model's", "Sampling", "generate eval", "those above P times the likeliest"}),
      {"--repetition-penalty", "R", "the model's", "Sampling", "generate eval", "above 1: fewer tokens seen before"},
      rare({"--presence-penalty", "X", "0", "Sampling", "generate eval", "off the logits of tokens in the output"}),
      rare({"--frequency-penalty", "X", "0", "Sampling", "generate eval", "the same, times their count"}),
      rare({"--logit-bias", "ID=B", "", "Sampling", "generate eval", "add B to a token's logit", {}, true}),
      {"--stop", "TEXT", "", "Sampling", "generate eval", "end before this text", {}, true},
      rare({"--stop-token-ids", "ID", "", "Sampling", "generate eval", "end after this token", {}, true}),
      rare({"--include-stop-str-in-output", "", "", "Sampling", "generate eval", "keep the stop text"}),
      {"--ignore-eos", "", "", "Sampling", "generate eval", "go on after the end-of-sequence token"},
      rare({"--no-skip-special-tokens", "", "", "Sampling", "generate eval", "keep special tokens in the text"}),
      {"--max-tokens", "N", "-1", "Sampling", "generate eval", "to generate; -1: as the context holds", "-n"},
      rare({"--min-tokens", "N", "0", "Sampling", "generate eval", "no end before N tokens"}),
      {"--n", "N", "1", "Sampling", "generate", "samples of each prompt"},
      {"--seed", "S", "0", "Sampling", "generate eval bench verify", "of draws and of dummy weights"},
      {"--logprobs", "K", "", "Sampling", "generate", "log-probabilities and the K likeliest, in --json"},

      {"--max-num-seqs", "N", "64", "Engine", kEngineUsers, "sequences that run at once"},
      rare({"--max-num-batched-tokens", "N", "512; GPU: 2048", "Engine", kEngineUsers, "tokens of one step"}),
      rare({"--block-size", "N", "chosen", "Engine", kSelectionUsers, "tokens a KV block"}),
      rare({"--kv-cache-memory-bytes", "N", "up to 1/4 of memory", "Engine", kEngineUsers, "such as 512M or 4G"}),
      rare({"--gpu-memory-utilization", "F", "0.9", "Engine", kEngineUsers, "share of a GPU's memory to use"}),
      rare({"--invariant", "", "", "Engine", kSelectionUsers,
            "one order of arithmetic on a GPU, too: batch and chunks change no bit (bench generate: and what it costs)"}),
      rare({"--enforce-eager", "", "", "Engine", kEngineUsers, "no captured graphs on a GPU"}),
      rare({"--no-async-scheduling", "", "", "Engine", kEngineUsers, "read each step's tokens before the next is launched, on a GPU, too"}),
      rare({"--no-enable-prefix-caching", "", "", "Engine", kEngineUsers, "compute every prompt anew"}),
      {"--threads", "N", "physical cores", "Engine", "generate score eval explain bench verify", "CPU threads", "-t"},

      {.name = "--kernel",
       .metavar = "OP[.ROLE]=NAME",
       .group = "Kernels",
       .commands = kKernelUsers,
       .help = "require it; =prefer:NAME falls back",
       .repeatable = true,
       .other = {"verify", "GLOB", "these kernels alone, such as 'cpu.attention.*'"}},
      {"--disable-kernel", "GLOB", "", "Kernels", kSelectionUsers, "never choose these", {}, true},
      rare({"--no-probe", "", "", "Kernels", kEngineUsers, "do not check kernels at load"}),
      rare({"--trace-kernels", "", "", "Kernels", "generate score eval", "list the launched kernels on stderr"}),

      {"--op", "OP", "all", "Question", "kernels verify", "attention, matmul, norm, ..."},
      {"--role", "R", "all", "Question", "explain", "one use of the op in the model, such as qkv"},
      {"--phase", "P", "decode", "Question", "explain", "decode, verify, prefill"},
      {"--batch", "N", "1", "Question", "explain", "sequences (matmul: rows)"},
      {"--context", "N", "1024", "Question", "explain", "longest context in tokens"},
      {"--desc", "TEXT", "", "Question", "explain bench verify", "desc text: \"kv=f8_e4m3 head_dim=96 window=64\""},

      {"--input-len", "N", "512", "Measurement", "bench", "prompt tokens (generate: row ppN); keys (attention: 2048)"},
      {"--output-len", "N", "128", "Measurement", "bench", "generated tokens (generate): row tgN behind one token, tgN @ dM behind the prompt"},
      {"--batch-size", "N", "1", "Measurement", "bench", "sequences (generate, attention)"},
      {"--q-len", "N", "1", "Measurement", "bench", "query tokens a sequence (attention)"},
      {"--rows", "N", "1", "Measurement", "bench", "rows of x (matmul)", {}, true},
      {"--num-iters", "N", "3 runs, 25 launches", "Measurement", "bench", "repetitions"},
      {"--anchors", "", "", "Measurement", "bench", "attention at the shapes that goals are set for"},
      rare({"--row", "TEXT", "", "Measurement", "bench", "--anchors: only rows whose name contains it"}),
      {"--save", "", "", "Measurement", "bench", "remember the times: they choose kernels"},
      rare({"--warm-cache", "", "", "Measurement", "bench verify", "use the same tensors again"}),

      {"--mode", "M", "check", "Proof", "verify", "check, support (values that cases exercised), fuzz, bench"},
      {"--require", "GLOB", "", "Proof", "verify", "these kernels must run here", {}, true},
      {"--suite", "NAME", "everything", "Proof", "verify", "seed (65 cases of another project's test), lengths, laws"},
      rare({"--samples", "N", "36", "Proof", "verify", "drawn cases a kernel, besides those that cover all pairs; with --all, cases of its product"}),
      {"--all", "", "", "Proof", "verify", "every covering desc at every length set, longer cases, more compared: hours"},
      rare({"--shard", "I/N", "1/1", "Proof", "verify", "the I-th of N parts of the run: cores or machines share it"}),
      {"--seconds", "S", "10", "Proof", "verify", "how long to fuzz, in all"},
      {"--planted", "", "", "Proof", "verify", "run kernels with planted defects: each must be caught"},
      rare({"--plant", "NAME", "", "Proof", "generate score eval explain bench verify", "put one of them into the run (builds with tests)"}),
      {"--list", "", "", "Proof", "verify", "name kernels and cases without running them"},
      {"--report", "FILE", "", "Proof", "verify", "also write the JSON there"},

      rare({"--log-level", "L", "warning", "Log", "*", "debug, info, warning, error"}),
      {"--verbose", "", "", "Log", "*", "as --log-level info: each selection", "-v"},
  };
  return all;
}

bool OptionSpec::taken_by(std::string_view command) const { return commands == "*" || has_word(commands, command); }

OptionSpec::Meaning OptionSpec::meaning_for(std::string_view command) const {
  return has_word(other.commands, command) ? other : Meaning{commands, metavar, help};
}

std::string OptionSpec::variable() const {
  std::string out{kPrefix};
  for (const char c : name.substr(2)) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

const OptionSpec* find_option(std::string_view name) {
  for (const OptionSpec& o : options())
    if (!name.empty() && (o.name == name || o.short_name == name)) return &o;
  return nullptr;
}

char** environment_of_children() { return environ; }

std::optional<std::string> environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

std::string cache_folder() {
  const auto cache = environment("XDG_CACHE_HOME"), home = environment("HOME");
  if (cache && cache->starts_with('/')) return *cache + "/attune";
  return home && !home->empty() ? *home + "/.cache/attune" : "";
}

std::vector<std::pair<std::string, std::string>> environment_options() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view line = *entry;
    if (!line.starts_with(kPrefix)) continue;
    const std::string name(line.substr(0, line.find('=')));
    const std::string value(line.substr(std::min(name.size() + 1, line.size())));
    const auto& all = options();
    const auto known = std::find_if(all.begin(), all.end(), [&](const OptionSpec& o) { return o.variable() == name; });
    if (known == all.end()) unknown_variable(name);
    add_values(*known, name, value, out);
  }
  return out;
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& c : candidates) {
    const size_t d = distance(word, c);
    if (d < least) least = d, best = c;
  }
  if (!best.empty() || word.size() < 4) return best;
  for (const std::string& c : candidates)  // "--max-seqs" for "--max-num-seqs"
    if (is_subsequence(word, c) && (2 * word.size() >= c.size() || c.starts_with(word)) && (best.empty() || c.size() < best.size())) best = c;
  return best;
}

std::string nearest_option(std::string_view name, std::string_view command) {
  for (const auto& [other, ours] : kOtherNames)
    if (other == name && (command.empty() || find_option(ours)->taken_by(command))) return std::string(ours);
  std::vector<std::string> candidates;
  for (const OptionSpec& o : options())
    if (command.empty() || o.taken_by(command)) candidates.emplace_back(o.name);
  return nearest_name(name, candidates);
}

std::string options_page() {
  std::string out =
      "# Options\n\nWritten by `attune docs`. Every flag has one variable of the environment; a flag wins over its variable, a variable over the\n"
      "default. A switch is on for 1, true, yes or on. Where a flag may be repeated, its variable holds a list separated by commas. An unknown\n"
      "`ATTUNE_*` variable is an error. `--help` and `--version` are no settings and have no variable.\n\n"
      "Read besides: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME` and `HOME`, to find the Hugging Face cache; `COLUMNS`, the width of `--help`.\n";
  std::string_view group;
  for (const OptionSpec& o : options()) {
    if (o.group != group) {
      group = o.group;
      out += fmt::format("\n## {}\n\n| flag | variable | default | meaning | commands |\n|---|---|---|---|---|\n", group);
    }
    const std::string flag =
        fmt::format("{}{}{}{}", o.name, o.is_switch() ? "" : " ", o.metavar, o.short_name.empty() ? "" : fmt::format("`, `{}", o.short_name));
    const std::string metavar = o.other.metavar == o.metavar ? "" : std::string(o.other.metavar) + ", ";
    const std::string help =
        o.other.commands.empty() ? std::string(o.help) : fmt::format("{}; {}: {}{}", o.help, o.other.commands, metavar, o.other.help);
    out += fmt::format("| `{}`{} | `{}` | {} | {} | {} |\n", escape_cell(flag), o.repeatable ? ", repeatable" : "", o.variable(),
                       o.default_text.empty() ? (o.is_switch() ? "off" : "") : o.default_text, escape_cell(help),
                       o.commands == "*" ? "all" : o.commands);
  }
  return out;
}

}  // namespace attune
