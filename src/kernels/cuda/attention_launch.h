#pragma once

// Host side of cuda.attention.wgmma_split_kv: what a source of instantiations gives to the launch function.

#include "kernels/cuda/attention_call.h"

namespace attune::cuda {

/// An instantiated form.
struct FormFacts {
  const void* kernel;
  int threads;
};

/// kCounters counters at 0, which launches on this workspace, of the current device, share and leave at 0. Null when there are too many workspaces:
/// then clear_counters() must come first.
int32_t* counters_of(const void* workspace);

/// Sets `count` counters at `counters` to 0 in its turn, and lets the kernel that follows start (and plan) at once.
const void* clear_counters();

/// The form for this many rows: 8, 16, 64. Null where none is instantiated.
FormFacts attention_form_bf16(int rows, int dim, bool extras);
FormFacts attention_form_f16(int rows, int dim, bool extras);
FormFacts attention_form_bf16_large(int rows, int dim, bool extras);
FormFacts attention_form_f16_large(int rows, int dim, bool extras);
FormFacts attention_form_f8(int rows, int dim, bool extras);

}  // namespace attune::cuda
