#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "json_lines.h"

namespace attune::cli {

/// One line's request and what came of it.
struct Item {
  int64_t line = 0;
  Json source;                 ///< as given; null where the line is no object
  std::optional<Error> error;  ///< why it was not run
  int64_t prompt_tokens = 0;
  std::vector<int32_t> token_ids;  ///< the prompt's, where they are asked for
  std::vector<TokenLogprob> prompt_logprobs;
  std::vector<Completion> samples;  ///< by index
  int wanted = 0, finished = 0;

  bool done() const { return error || finished == wanted; }
  bool aborted() const;
  bool failed() const;
};

/// Runs the requests of many lines with continuous batching and hands each to `write` when it is its turn, in input order.
class Driver {
 public:
  struct Work {
    /// The next line, as LineReader::next.
    std::function<LineReader::Status(bool wait, std::string& line)> next;
    std::function<int64_t()> line_number;
    std::function<Request(const Json&)> make;
    std::function<void(const Item&)> write;
    std::function<void(std::string_view)> stream;  ///< new text of any request, outside the engine's callback; may be empty
  };

  Driver(Engine& engine, Work work, int64_t max_in_flight) : engine_(engine), work_(std::move(work)), max_in_flight_(max_in_flight) {}

  /// 0; kSomeFailed if a line failed; 128 + signal after an interrupt: finished requests are then written, running ones with what they have.
  int run();

  /// After run(): InvalidArgument if the file `path` held no line and no interrupt ended the run.
  void require_lines(const std::string& path) const;

 private:
  void read_more();
  void admit(const std::string& line);
  void take(Item& item, const RequestEvent& event);
  void stop_all();
  void write_done(bool all);

  Engine& engine_;
  Work work_;
  int64_t max_in_flight_;
  std::deque<Item> items_;  // front: the next to write
  std::vector<uint64_t> running_;
  int64_t in_flight_ = 0, lines_ = 0;
  bool ended_ = false, some_failed_ = false;
  std::string new_text_;
};

}  // namespace attune::cli
