#pragma once

// Host side of cuda.attention.wgmma_split_kv: what a source of instantiations gives to the launch function.

#include "kernels/cuda/attention_call.h"

namespace attune::cuda {

/// An instantiated form.
struct FormFacts {
  const void* kernel;
  int threads;
};

/// Sets `count` counters at `counters` to 0, and lets the kernel that follows start at once.
const void* clear_counters();

/// The form for this many rows: 8, 16, 64, 128. Null where none is instantiated.
FormFacts attention_form_bf16(int rows, int dim, bool extras);
FormFacts attention_form_f16(int rows, int dim, bool extras);
FormFacts attention_form_f8(int rows, int dim, bool extras);

}  // namespace attune::cuda
