#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "engine/sequence.h"

namespace attune {

/// One sequence's part of a step: tokens [first, first + count).
struct Slice {
  Sequence* sequence;
  int64_t count;
  int64_t ahead = 0;  ///< 1: of a step before that is not collected; its token is known to the device alone

  int64_t first() const { return sequence->computed + ahead; }
  int64_t end() const { return first() + count; }
};

/// Picks the sequences of a step and reserves their blocks. Out of blocks means preemption by recompute; nothing else can fail here.
class Scheduler {
 public:
  struct Limits {
    int64_t max_num_seqs;
    int64_t max_num_batched_tokens;
  };
  using CopyBlock = std::function<void(int32_t from, int32_t to)>;

  Scheduler(const Limits& limits, CopyBlock copy_block);

  /// A new request's first sample joins the queue.
  void enqueue(Sequence& sequence) { waiting_.push_back(&sequence); }
  /// A fork joins the running ones: its request was admitted with all its samples.
  void add_running(Sequence& sequence) { running_.push_back(&sequence); }  // its seat was kept: never allocates
  /// Takes a finished sequence out and frees its blocks.
  void remove(Sequence& sequence);

  /// The slices of the next step, decode, verify, prefill in that order; empty if nothing waits or runs.
  std::vector<Slice> schedule();

  /// The step that can be launched before `running`, a step in which every running sequence decodes, is collected: the same sequences, one token on.
  /// Empty where more must be known first: a sequence ends with the token being drawn, one that waits could join, blocks are short. Nothing is
  /// preempted. Blocks for it are reserved.
  std::vector<Slice> follow(const std::vector<Slice>& running, int64_t max_model_len);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  int64_t preemptions() const { return preemptions_; }

 private:
  bool make_room(Sequence& sequence, int64_t count, int64_t ahead = 0);
  bool make_room_by_preemption(Sequence& sequence, int64_t count);
  void preempt(Sequence& victim);
  void schedule_running(std::vector<Slice>& plan, int64_t& budget, bool decodes);
  void admit(std::vector<Slice>& plan, int64_t& budget);
  int64_t seats_taken() const;
  bool one_could_join() const;

  Limits limits_;
  CopyBlock copy_block_;
  std::deque<Sequence*> waiting_;
  std::vector<Sequence*> running_;  // by arrival
  int64_t preemptions_ = 0;
};

}  // namespace attune
