#pragma once

#include <cstdint>
#include <vector>

#include "ops/types.h"

namespace attune {

/// The sequences of one phase in a step: one attention launch a layer kind. Pointers are the device's; numbers are bounds where a captured
/// graph serves several steps.
struct PhaseBatch {
  Phase phase = Phase::decode;
  int64_t first_token = 0;  ///< of the batch's tokens
  int64_t num_tokens = 0;
  int64_t num_seqs = 0;
  const int32_t* q_start = nullptr;      ///< [num_seqs + 1], relative to first_token
  const int32_t* kv_lens = nullptr;      ///< [num_seqs], this step's tokens included
  const int32_t* block_table = nullptr;  ///< [num_seqs, max_blocks]
  int64_t max_blocks = 0;
  int64_t longest_q = 0, longest_kv = 0;
};

/// The tokens of one step, ordered decode, verify, prefill.
struct Batch {
  int64_t num_tokens = 0;
  const int32_t* ids = nullptr;           ///< [num_tokens]
  const int32_t* positions = nullptr;     ///< [num_tokens]
  const int64_t* slot_mapping = nullptr;  ///< [num_tokens]; −1 = not stored
  std::vector<PhaseBatch> phases;         ///< non-empty ones
  const int32_t* logits_rows = nullptr;   ///< tokens whose logits are wanted, ascending
  int64_t num_logits_rows = 0;
  bool every_row = false;  ///< they are all tokens
};

}  // namespace attune
