#include "driver.h"

#include <algorithm>

#include "commands.h"
#include "terminal.h"

namespace attune::cli {

bool Item::aborted() const {
  return std::any_of(samples.begin(), samples.end(), [](const Completion& c) { return c.finish_reason == FinishReason::abort; });
}

bool Item::failed() const {
  return error || std::any_of(samples.begin(), samples.end(), [](const Completion& c) { return c.finish_reason == FinishReason::error; });
}

void Driver::admit(const std::string& line) {
  ++lines_;
  Item& item = items_.emplace_back();
  item.line = work_.line_number();
  try {
    item.source = parse_object(line);
    Request request = work_.make(item.source);
    item.wanted = std::max(request.sampling.n, 1);
    if (request.sampling.prompt_logprobs) item.token_ids = request.token_ids;
    request.on_event = [this, &item](const RequestEvent& event) { take(item, event); };
    running_.push_back(engine_.submit(std::move(request)));
    ++in_flight_;
  } catch (const Error& e) {
    item.error = e;
  }
}

void Driver::take(Item& item, const RequestEvent& event) {
  item.prompt_tokens = event.prompt_tokens;
  if (work_.stream) new_text_ += event.new_text;
  if (!event.finished || item.done()) return;
  const auto index = static_cast<size_t>(event.index);
  if (item.samples.size() <= index) item.samples.resize(index + 1);
  item.samples[index] = *event.completion;
  if (event.prompt_logprobs) item.prompt_logprobs = *event.prompt_logprobs;
  ++item.finished;
  // What fails before its first token has no other samples.
  const FinishReason reason = event.completion->finish_reason;
  if ((reason == FinishReason::abort || reason == FinishReason::error) && event.completion->token_ids.empty()) item.wanted = item.finished;
  if (item.done()) {
    --in_flight_;
    std::erase(running_, event.id);
  }
}

void Driver::read_more() {
  std::string line;
  while (!ended_ && in_flight_ < max_in_flight_ && !interrupted()) {
    const auto status = work_.next(in_flight_ == 0, line);
    if (status == LineReader::Status::not_yet) return;
    if (status == LineReader::Status::end) ended_ = true;
    if (status == LineReader::Status::line) admit(line);
    write_done(false);
  }
}

/// Writes what is finished and next in turn; `all`: also what stands behind unfinished ones.
void Driver::write_done(bool all) {
  while (!items_.empty() && (all || items_.front().done())) {
    const Item& item = items_.front();
    const bool begun = item.error || std::any_of(item.samples.begin(), item.samples.end(),
                                                 [](const Completion& c) { return c.finish_reason != FinishReason::abort || !c.token_ids.empty(); });
    some_failed_ |= item.failed();
    if (begun) work_.write(item);
    items_.pop_front();
  }
}

void Driver::stop_all() {
  for (const uint64_t id : running_) engine_.cancel(id);
  while (engine_.step()) {
  }
}

void Driver::require_lines(const std::string& path) const {
  if (lines_ == 0 && !interrupted()) fail(ErrorCode::invalid_argument, path, "at least one line", "an empty file");
}

int Driver::run() {
  for (;;) {
    read_more();
    if (interrupted()) {
      stop_all();
      if (work_.stream) work_.stream(new_text_);
      write_done(true);
      return 128 + interrupted();
    }
    const bool more = engine_.step();
    if (work_.stream && !new_text_.empty()) {
      const std::string text = std::exchange(new_text_, "");
      work_.stream(text);
    }
    write_done(false);
    if (!more && ended_) return some_failed_ ? kSomeFailed : 0;
  }
}

}  // namespace attune::cli
