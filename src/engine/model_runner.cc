#include "engine/model_runner.h"

#include <algorithm>

namespace attune {
namespace {

Phase phase_of(int64_t q_len) { return q_len == 1 ? Phase::decode : q_len <= 32 ? Phase::verify : Phase::prefill; }

/// Lays the sequences' tables side by side, padded to the longest.
void fill_block_table(PhaseBatch& phase, const std::vector<const BlockTable*>& tables) {
  for (const BlockTable* t : tables) phase.max_blocks = std::max(phase.max_blocks, static_cast<int64_t>(t->blocks().size()));
  for (const BlockTable* t : tables) {
    phase.block_table.insert(phase.block_table.end(), t->blocks().begin(), t->blocks().end());
    phase.block_table.resize(phase.block_table.size() + static_cast<size_t>(phase.max_blocks) - t->blocks().size(), 0);
  }
}

}  // namespace

void ModelRunner::want_rows(const Slice& slice, int64_t first_row) {
  Sequence& s = *slice.sequence;
  const RequestState& request = *s.request;
  const int64_t end = s.computed + slice.count;
  if (request.sampling().prompt_logprobs) {
    for (int64_t p = s.computed; p < std::min(end, request.prompt_tokens - 1); ++p) {
      batch_.logits_rows.push_back(static_cast<int32_t>(first_row + p - s.computed));
      rows_.push_back({&s, -1, p + 1});
    }
  }
  if (end < s.length() || request.sampling().max_tokens == 0) return;
  // The first draw of a request serves all its samples from one row.
  const int first = s.completion.index, last = request.forked() ? first : request.sampling().n - 1;
  for (int sample = first; sample <= last; ++sample) {
    batch_.logits_rows.push_back(static_cast<int32_t>(first_row + slice.count - 1));
    rows_.push_back({&s, sample, end});
  }
}

void ModelRunner::add(const Slice& slice) {
  const Sequence& s = *slice.sequence;
  const int64_t size = kv_.block_size();
  for (int64_t p = s.computed; p < s.computed + slice.count; ++p) {
    batch_.ids.push_back(s.tokens[static_cast<size_t>(p)]);
    batch_.positions.push_back(static_cast<int32_t>(p));
    batch_.slot_mapping.push_back(s.table.blocks()[static_cast<size_t>(p / size)] * size + p % size);
  }
}

void ModelRunner::forward(const ExecContext& ctx, const std::vector<Slice>& slices) {
  batch_ = Batch{};
  rows_.clear();
  std::vector<const BlockTable*> tables;
  for (const Slice& slice : slices) {
    const Phase phase = phase_of(slice.count);
    if (batch_.phases.empty() || batch_.phases.back().phase != phase) {
      if (!batch_.phases.empty()) fill_block_table(batch_.phases.back(), tables);
      tables.clear();
      batch_.phases.push_back({.phase = phase, .first_token = batch_.num_tokens(), .q_start = {0}});
    }
    PhaseBatch& p = batch_.phases.back();
    want_rows(slice, batch_.num_tokens());
    add(slice);
    tables.push_back(&slice.sequence->table);
    p.num_tokens += slice.count;
    p.q_start.push_back(static_cast<int32_t>(p.num_tokens));
    p.kv_lens.push_back(static_cast<int32_t>(slice.sequence->computed + slice.count));
    p.longest_q = std::max(p.longest_q, slice.count);
    p.longest_kv = std::max(p.longest_kv, slice.sequence->computed + slice.count);
  }
  fill_block_table(batch_.phases.back(), tables);
  model_.forward(ctx, batch_, kv_);
}

}  // namespace attune
