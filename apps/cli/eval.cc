// attune eval: the share of problems whose answer is found.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "commands.h"
#include "driver.h"
#include "engine_flags.h"
#include "terminal.h"

namespace attune::cli {
namespace {

/// What follows the last "####", without white space around it; the whole text if there is no mark.
std::string final_answer(const std::string& text) {
  const size_t mark = text.rfind("####");
  std::string out = mark == std::string::npos ? text : text.substr(mark + 4);
  const size_t first = out.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return out.substr(first, out.find_last_not_of(" \t\r\n") - first + 1);
}

/// The answer to find: text, or a list of token ids, which is compared with all that is generated and needs no tokenizer.
std::string expected_answer(const Json& line, bool text) {
  const auto answer = line.find("answer");
  const bool ids = answer != line.end() && answer->is_array() &&
                   std::all_of(answer->begin(), answer->end(), [](const Json& id) { return id.is_number_integer(); });
  if (ids) return answer->dump();
  if (!text)
    fail(ErrorCode::invalid_argument, "answer", "a list of token ids, as the model has no tokenizer", answer == line.end() ? "none" : answer->dump());
  if (answer == line.end() || !(answer->is_string() || answer->is_number()))
    fail(ErrorCode::invalid_argument, "answer", "a string, a number or a list of token ids", answer == line.end() ? "none" : answer->dump());
  return final_answer(answer->is_string() ? answer->get<std::string>() : answer->dump());
}

class Eval {
 public:
  explicit Eval(const Arguments& args)
      : args_(args),
        reader_(data()),
        sampling_(sampling_params(args, greedy())),
        engine_(open_engine(engine_options(args, false))),
        style_{[this](const std::string& messages) { return engine_.apply_chat_template(messages); },
               use_chat(args, engine_, true),
               args.has("--raw"),
               {"answer", "schema", "steps"}} {
    limit_ = args.integer("--limit", INT64_MAX);
    if (limit_ < 1) fail(ErrorCode::invalid_argument, args.source("--limit"), "a positive integer", std::to_string(limit_));
  }

  int run() {
    watch_for_interrupt();
    Driver::Work w;
    w.next = [this](bool wait, std::string& line) {
      const auto status = taken_ < limit_ ? reader_.next(wait, line) : LineReader::Status::end;
      taken_ += status == LineReader::Status::line;
      return status;
    };
    w.line_number = [this] { return reader_.number(); };
    w.make = [this](const Json& line) {
      static_cast<void>(expected_answer(line, engine_.tokenizer() != nullptr));
      return make_request(line, style_, sampling_);
    };
    w.write = [this](const Item& item) { write(item); };
    const auto start = std::chrono::steady_clock::now();
    Driver driver(engine_, std::move(w), 2 * args_.integer("--max-num-seqs", EngineOptions{}.max_num_seqs));
    const int code = driver.run();
    driver.require_lines(reader_.path());
    report(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    write_trace(args_, engine_);
    return code;
  }

 private:
  static SamplingParams greedy() {
    SamplingParams p;
    p.temperature = 0;
    return p;
  }

  std::string data() const {
    if (!args_.positionals().empty()) fail(ErrorCode::invalid_argument, "eval", "flags alone", args_.positionals()[0]);
    if (!args_.has("--data")) fail(ErrorCode::invalid_argument, "--data", "a file of JSON lines, or - for stdin", "nothing");
    return args_.text("--data");
  }

  void write(const Item& item) {
    if (item.aborted()) return;
    if (item.error || item.failed()) {
      ++failed_;
      const Error error = item.error ? *item.error : Error(ErrorCode::internal, item.samples[0].error);
      if (args_.has("--json")) return write_out(json_line({{"line", item.line}, {"error", error_json(error)}}));
      return write_note(fmt::format("attune: {} line {}: {}", reader_.path(), item.line, error.message()));
    }
    const Completion& c = item.samples[0];
    const std::string expected = expected_answer(item.source, engine_.tokenizer() != nullptr);
    const std::string got = item.source["answer"].is_array()           ? Json(c.token_ids).dump()
                            : c.text.find("####") == std::string::npos ? ""
                                                                       : final_answer(c.text);
    const bool right = got == expected;
    ++total_, correct_ += right;
    unfinished_ += c.finish_reason == FinishReason::length;
    generated_ += static_cast<int64_t>(c.token_ids.size());
    if (args_.has("--json"))
      write_out(json_line({{"line", item.line}, {"correct", right}, {"answer", got}, {"expected", expected}, {"text", c.text}}));
  }

  void report(double seconds) const {
    const int64_t ended = total_ + failed_;
    const double accuracy = ended > 0 ? static_cast<double>(correct_) / static_cast<double>(ended) : 0;
    const double rate = seconds > 0 ? static_cast<double>(generated_) / seconds : 0;
    if (args_.has("--json")) {
      write_out(json_line({{"exact_match", ended > 0 ? Json(accuracy) : Json(nullptr)},
                           {"correct", correct_},
                           {"total", ended},
                           {"interrupted", interrupted() != 0},
                           {"failed", failed_},
                           {"cut_off", unfinished_},
                           {"generated_tokens", generated_},
                           {"seconds", seconds},
                           {"tokens_per_s", rate},
                           {"dtype", engine_.model().dtype},
                           {"fingerprint", engine_.model().fingerprint}}));
      return;
    }
    const std::string match =
        ended > 0 ? fmt::format("exact match {:.2f} % ({} of {}; {} failed, {} cut off)", 100 * accuracy, correct_, ended, failed_, unfinished_)
                  : "no problem was finished";
    write_out(fmt::format("{}{}\n{} tokens in {:.1f} s, {:.1f} tokens/s\n", match, interrupted() ? "; interrupted: of those finished until then" : "",
                          generated_, seconds, rate));
  }

  const Arguments& args_;
  LineReader reader_;
  SamplingParams sampling_;
  Engine engine_;
  PromptStyle style_;
  int64_t limit_ = 0, taken_ = 0, total_ = 0, correct_ = 0, failed_ = 0, unfinished_ = 0, generated_ = 0;
};

}  // namespace

int run_eval(const Arguments& args) { return Eval(args).run(); }

}  // namespace attune::cli
