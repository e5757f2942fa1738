// attune score: how likely a model finds given texts.
#include <fmt/format.h>

#include <cmath>

#include "commands.h"
#include "driver.h"
#include "engine_flags.h"
#include "terminal.h"

namespace attune::cli {
namespace {

/// {"id"?, "token_ids", "logprobs": [null, …], "top_logprobs"?}
Json score_json(const Item& item, bool top) {
  Json j = Json::object();
  if (const auto id = item.source.find("id"); id != item.source.end() && (id->is_string() || id->is_number())) j["id"] = *id;
  j["token_ids"] = item.token_ids;
  j["logprobs"] = Json::array({nullptr});
  for (const TokenLogprob& t : item.prompt_logprobs) j["logprobs"].push_back(t.logprob);
  if (top) j["top_logprobs"] = top_json(item.prompt_logprobs, true);
  return j;
}

class Score {
 public:
  explicit Score(const Arguments& args)
      : args_(args),
        reader_(input()),
        top_(top()),
        engine_(open_engine(engine_options(args, false))),
        style_{[this](const std::string& messages) { return engine_.apply_chat_template(messages); }, use_chat(args, engine_, false),
               args.has("--raw")} {}

  int run() {
    watch_for_interrupt();
    Driver::Work w;
    w.next = [this](bool wait, std::string& line) { return reader_.next(wait, line); };
    w.line_number = [this] { return reader_.number(); };
    w.make = [this](const Json& line) { return make(line); };
    w.write = [this](const Item& item) { write(item); };
    Driver driver(engine_, std::move(w), 2 * args_.integer("--max-num-seqs", EngineOptions{}.max_num_seqs));
    const int code = driver.run();
    driver.require_lines(reader_.path());
    const std::string perplexity = tokens_ > 0
                                       ? fmt::format("perplexity {:.4f} over {} tokens", std::exp(-sum_ / static_cast<double>(tokens_)), tokens_)
                                       : "no perplexity: no token was scored";
    write_note(fmt::format("{} in {} texts{}", perplexity, texts_, interrupted() ? "; interrupted before the end" : ""));
    write_trace(args_, engine_);
    return code;
  }

 private:
  std::string input() const {
    if (!args_.positionals().empty()) fail(ErrorCode::invalid_argument, "score", "flags alone", args_.positionals()[0]);
    if (!args_.has("--input")) fail(ErrorCode::invalid_argument, "--input", "a file of JSON lines, or - for stdin", "nothing");
    return args_.text("--input");
  }

  int top() const {
    SamplingParams p;
    p.prompt_logprobs = static_cast<int>(args_.integer("--top-logprobs", 0));
    validate(p);
    return *p.prompt_logprobs;
  }

  Request make(const Json& line) {
    Request r = make_request(line, style_, {});
    r.sampling = SamplingParams{};  // nothing is drawn
    r.sampling.max_tokens = 0;
    r.sampling.prompt_logprobs = top_;
    if (r.token_ids.empty() && engine_.tokenizer()) r.token_ids = engine_.tokenizer()->encode(r.prompt, r.add_special_tokens);
    return r;
  }

  void write(const Item& item) {
    if (item.error) {
      if (args_.has("--json"))
        write_out(json_line({{"line", item.line}, {"error", error_json(*item.error)}}));
      else
        write_note(fmt::format("attune: {} line {}: {}", reader_.path(), item.line, item.error->message()));
      return;
    }
    if (item.failed() || item.aborted()) {
      const std::string why = item.failed() ? item.samples[0].error : "interrupted";
      if (args_.has("--json")) write_out(json_line({{"line", item.line}, {"error", error_json(Error(ErrorCode::internal, why))}}));
      return;
    }
    double sum = 0;
    for (const TokenLogprob& t : item.prompt_logprobs) sum += t.logprob;
    sum_ += sum, tokens_ += static_cast<int64_t>(item.prompt_logprobs.size()), ++texts_;
    if (args_.has("--json")) return write_out(json_line(score_json(item, top_ > 0)));
    const size_t scored = item.prompt_logprobs.size();
    const std::string found =
        scored > 0 ? fmt::format("logprob {:.4f}, perplexity {:.4f}", sum, std::exp(-sum / static_cast<double>(scored))) : "none has one before it";
    write_out(fmt::format("line {}: {} tokens, {}\n", item.line, item.prompt_tokens, found));
  }

  const Arguments& args_;
  LineReader reader_;
  int top_;
  Engine engine_;
  PromptStyle style_;
  double sum_ = 0;
  int64_t tokens_ = 0, texts_ = 0;
};

}  // namespace

int run_score(const Arguments& args) { return Score(args).run(); }

}  // namespace attune::cli
