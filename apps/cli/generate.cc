// attune generate: text from prompts.
#include <fmt/format.h>

#include <chrono>

#include "commands.h"
#include "driver.h"
#include "engine_flags.h"
#include "terminal.h"

namespace attune::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// {"id", "index"?, "text", "token_ids", "logprobs"?, "finish_reason", "prompt_tokens"}
Json answer_json(const Item& item, const Completion& c) {
  const auto id = item.source.find("id");
  Json j{{"id", id != item.source.end() && (id->is_string() || id->is_number()) ? *id : Json(item.line)}};
  if (item.wanted > 1) j["index"] = c.index;
  j["text"] = c.text, j["token_ids"] = c.token_ids;
  if (!c.logprobs.empty()) {
    j["logprobs"] = Json::array();
    for (const TokenLogprob& t : c.logprobs) j["logprobs"].push_back(t.logprob);
    if (!c.logprobs[0].top.empty()) j["top_logprobs"] = top_json(c.logprobs, false);
  }
  j["finish_reason"] = to_text(c.finish_reason), j["prompt_tokens"] = item.prompt_tokens;
  if (c.finish_reason == FinishReason::error) j["error"] = error_json(Error(ErrorCode::internal, c.error));
  return j;
}

void write_json(const Item& item) {
  if (item.error) {
    write_out(json_line({{"line", item.line}, {"error", error_json(*item.error)}}));
    return;
  }
  for (const Completion& c : item.samples)
    if (c.finish_reason != FinishReason::none) write_out(json_line(answer_json(item, c)));
}

/// A word of a shell's command, in quotes where it needs them.
std::string shell_word(const std::string& text) {
  const bool plain = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%") == std::string::npos;
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

/// The command that explains this run's kernels: with the flags of it on which they depend. Variables hold for that command, too.
std::string explain_command(const Arguments& args) {
  std::string out = "attune explain";
  for (const char* flag : {"--model", "--device", "--dtype", "--kv-cache-dtype", "--block-size", "--threads", "--kernel", "--disable-kernel"})
    if (args.has(flag) && args.source(flag) == flag)
      for (const std::string& value : args.list(flag)) out += fmt::format(" {} {}", flag, shell_word(value));
  return out;
}

/// What the run of one command looked like from outside.
struct Timing {
  Clock::time_point start = Clock::now(), first{}, last{};
  int64_t prompt_tokens = 0, generated = 0;
  bool streamed = false;  // one sequence whose tokens were seen one by one

  void write(const Arguments& args, const Engine& engine) const {
    const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
    const double span = seconds(last - first), whole = seconds(last - start);
    const double rate = streamed && generated > 1 && span > 0 ? static_cast<double>(generated - 1) / span
                        : whole > 0                           ? static_cast<double>(generated) / whole
                                                              : 0;
    const int64_t cached = engine.stats().cached_tokens;
    write_note(fmt::format("{} prompt tokens{}, {} generated; first token after {:.1f} ms; {:.1f} tokens/s", prompt_tokens,
                           cached > 0 ? fmt::format(" ({} from the prefix cache)", cached) : "", generated, 1e3 * seconds(first - start), rate));
    write_note(fmt::format("kernels: {}; to see why: {}", engine.kernels_line(), explain_command(args)));
  }
};

class Generate {
 public:
  explicit Generate(const Arguments& args)
      : args_(args),
        given_(prompts()),
        flags_(sampling_params(args, {})),
        engine_(open_engine(options())),
        style_{[this](const std::string& messages) { return engine_.apply_chat_template(messages); }, use_chat(args, engine_, true),
               args.has("--raw")} {
    base_ = sampling_params(args, engine_.default_sampling());
  }

  int run() {
    watch_for_interrupt();
    Driver driver(engine_, work(), 2 * args_.integer("--max-num-seqs", EngineOptions{}.max_num_seqs));
    const int code = driver.run();
    if (reader_) driver.require_lines(reader_->path());
    if (open_line_) write_out("\n");
    if (!args_.has("--json") && timing_.generated > 0) timing_.write(args_, engine_);
    write_trace(args_, engine_);
    return code;
  }

 private:
  /// The prompts of the command line; empty if a file holds them.
  std::vector<std::string> prompts() {
    const auto& words = args_.positionals();
    if (words.empty() != args_.has("--prompts"))
      fail(ErrorCode::invalid_argument, "PROMPT", "a prompt or --prompts FILE", words.empty() ? "neither" : "both");
    for (const std::string& p : words)
      if (p.empty()) fail(ErrorCode::invalid_argument, "PROMPT", "at least one character", "an empty prompt");
    if (words.empty()) reader_ = std::make_unique<LineReader>(args_.text("--prompts"));
    return words;
  }

  EngineOptions options() const { return engine_options(args_, !given_.empty()); }

  Driver::Work work() {
    Driver::Work w;
    w.make = [this](const Json& line) { return make_request(line, style_, base_); };
    w.write = [this](const Item& item) { write(item); };
    if (streams()) w.stream = [this](std::string_view text) { stream(text); };
    if (reader_) {
      w.next = [this](bool wait, std::string& line) { return reader_->next(wait, line); };
      w.line_number = [this] { return reader_->number(); };
      return w;
    }
    w.next = [this](bool, std::string& line) {
      if (next_ == given_.size()) return LineReader::Status::end;
      const std::string& prompt = given_[next_++];
      try {
        line = Json{{"prompt", prompt}}.dump();
      } catch (const Json::exception& e) {
        const std::string what = e.what();
        fail(ErrorCode::invalid_argument, "PROMPT", "UTF-8", what.substr(what.find("] ") + 2));
      }
      return LineReader::Status::line;
    };
    w.line_number = [this] { return static_cast<int64_t>(next_); };
    return w;
  }

  /// One prompt, one sample, for a reader: text as it comes.
  bool streams() const { return given_.size() == 1 && flags_.n == 1 && !args_.has("--json"); }

  void stream(std::string_view text) {
    if (timing_.first == Clock::time_point{}) timing_.first = Clock::now();
    timing_.streamed = true;
    write_out(text);
    if (!text.empty()) open_line_ = text.back() != '\n';
  }

  void write(const Item& item) {
    if (item.error && !reader_) throw *item.error;
    timing_.last = Clock::now();
    if (timing_.first == Clock::time_point{}) timing_.first = timing_.last;
    timing_.prompt_tokens += item.prompt_tokens;
    for (const Completion& c : item.samples) timing_.generated += static_cast<int64_t>(c.token_ids.size());
    if (args_.has("--json")) return write_json(item);
    if (item.error) return write_note(fmt::format("attune: {} line {}: {}", reader_->path(), item.line, item.error->message()));
    for (const Completion& c : item.samples) {
      if (c.finish_reason == FinishReason::error) write_note("attune: " + c.error);
      if (!streams()) write_out((engine_.tokenizer() ? c.text : fmt::format("{}", fmt::join(c.token_ids, " "))) + "\n");
    }
  }

  const Arguments& args_;
  std::unique_ptr<LineReader> reader_;
  std::vector<std::string> given_;
  SamplingParams flags_;  // checked before the model is loaded
  Engine engine_;
  PromptStyle style_;
  SamplingParams base_;
  size_t next_ = 0;
  Timing timing_;
  bool open_line_ = false;
};

}  // namespace

int run_generate(const Arguments& args) { return Generate(args).run(); }

}  // namespace attune::cli
