#include "engine/scheduler.h"

#include <algorithm>

namespace attune {
namespace {

int phase_order(const Slice& s) { return s.count == 1 ? 0 : s.count <= 32 ? 1 : 2; }

}  // namespace

Scheduler::Scheduler(const Limits& limits, CopyBlock copy_block) : limits_(limits), copy_block_(std::move(copy_block)) {
  running_.reserve(static_cast<size_t>(limits.max_num_seqs));
}

void Scheduler::remove(Sequence& sequence) {
  sequence.table.clear();
  std::erase(running_, &sequence);
  std::erase(waiting_, &sequence);
}

int64_t Scheduler::seats_taken() const {
  int64_t seats = 0;
  for (const Sequence* s : running_) seats += s->request->forked() ? 1 : s->request->sampling().n;
  return seats;
}

/// Reserves the blocks of a slice, with a copy of a shared block that it would write; false if the pool has too few.
bool Scheduler::make_room(Sequence& s, int64_t count, int64_t ahead) {
  const auto copy = s.table.make_writable(s.computed + ahead);
  if (copy.to == -2) return false;
  if (copy.to >= 0) copy_block_(copy.from, copy.to);
  return s.table.reserve(s.computed + ahead + count);
}

void Scheduler::preempt(Sequence& victim) {
  victim.table.clear();
  victim.computed = 0;
  waiting_.push_front(&victim);
  std::erase(running_, &victim);
  ++preemptions_;
}

bool Scheduler::make_room_by_preemption(Sequence& s, int64_t count) {
  while (!make_room(s, count)) {
    const auto newest = std::find_if(running_.rbegin(), running_.rend(), [](const Sequence* r) { return !r->planned; });
    Sequence& victim = **newest;  // s itself is not planned yet
    preempt(victim);
    if (&victim == &s) return false;
  }
  return true;
}

void Scheduler::schedule_running(std::vector<Slice>& plan, int64_t& budget, bool decodes) {
  const std::vector<Sequence*> candidates = running_;
  for (Sequence* s : candidates) {
    if (budget == 0) return;
    if (s->planned || (s->pending() == 1) != decodes || std::find(running_.begin(), running_.end(), s) == running_.end()) continue;
    const int64_t count = std::min(s->pending(), budget);
    if (!make_room_by_preemption(*s, count)) continue;
    s->planned = true;
    plan.push_back({s, count});
    budget -= count;
  }
}

bool Scheduler::one_could_join() const {
  if (waiting_.empty()) return false;
  const RequestState& r = *waiting_.front()->request;
  return seats_taken() + (r.forked() ? 1 : r.sampling().n) <= limits_.max_num_seqs;
}

void Scheduler::admit(std::vector<Slice>& plan, int64_t& budget) {
  while (!waiting_.empty() && budget > 0) {
    Sequence& s = *waiting_.front();
    if (!one_could_join()) return;
    if (!s.request->sampling().prompt_logprobs) {
      s.computed = s.table.match_prefix(s.tokens);
      if (s.length() == s.request->prompt_tokens) s.request->cached_tokens = s.computed;
    }
    const int64_t count = std::min(s.pending(), budget);
    if (!make_room(s, count)) {
      s.table.clear();
      s.computed = 0;
      return;
    }
    running_.push_back(&s);
    waiting_.pop_front();
    s.planned = true;
    plan.push_back({&s, count});
    budget -= count;
  }
}

std::vector<Slice> Scheduler::schedule() {
  std::vector<Slice> plan;
  plan.reserve(static_cast<size_t>(limits_.max_num_seqs));
  int64_t budget = limits_.max_num_batched_tokens;
  const int64_t before = preemptions_;
  const auto clear_marks = [this] {
    for (Sequence* s : running_) s->planned = false;
  };
  try {
    schedule_running(plan, budget, true);
    schedule_running(plan, budget, false);
    if (preemptions_ == before) admit(plan, budget);
  } catch (...) {
    clear_marks();
    throw;
  }
  clear_marks();
  std::stable_sort(plan.begin(), plan.end(), [](const Slice& a, const Slice& b) { return phase_order(a) < phase_order(b); });
  return plan;
}

std::vector<Slice> Scheduler::follow(const std::vector<Slice>& running, int64_t max_model_len) {
  if (running.size() != running_.size() || one_could_join()) return {};
  std::vector<Slice> plan;
  plan.reserve(running.size());
  for (const Slice& slice : running) {
    Sequence& s = *slice.sequence;
    const int64_t drawn = s.length() + 1;  // with the token of the running step
    if (s.finished() || drawn - s.request->prompt_tokens >= s.request->sampling().max_tokens || drawn >= max_model_len) return {};
    if (!make_room(s, 1, 1)) return {};
    plan.push_back({&s, 1, 1});
  }
  return plan;
}

}  // namespace attune
