#pragma once

#include <cstdint>
#include <vector>

#include "ops/types.h"

namespace attune {

/// The sequences of one phase in a step: one attention launch a layer kind.
struct PhaseBatch {
  Phase phase = Phase::decode;
  int64_t first_token = 0;  ///< of the batch's tokens
  int64_t num_tokens = 0;
  std::vector<int32_t> q_start;      ///< [sequences + 1], relative to first_token
  std::vector<int32_t> kv_lens;      ///< [sequences], this step's tokens included
  std::vector<int32_t> block_table;  ///< [sequences, max_blocks]
  int64_t max_blocks = 0;
  int64_t longest_q = 0, longest_kv = 0;

  int64_t num_seqs() const { return static_cast<int64_t>(kv_lens.size()); }
};

/// The tokens of one step, ordered decode, verify, prefill.
struct Batch {
  std::vector<int32_t> ids;           ///< [tokens]
  std::vector<int32_t> positions;     ///< [tokens]
  std::vector<int64_t> slot_mapping;  ///< [tokens]; −1 = not stored
  std::vector<PhaseBatch> phases;     ///< non-empty ones
  std::vector<int32_t> logits_rows;   ///< tokens whose logits are wanted, ascending

  int64_t num_tokens() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace attune
