#pragma once

// Host side of cuda.attention.wgmma_split_kv: what a source of instantiations gives to the launch function.

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "kernels/cuda/attention_call.h"

namespace attune::cuda {

/// How a form uses a block, so that the host can lay out its shared memory.
struct FormFacts {
  const void* kernel;
  int threads, tile_bytes, node_floats;
  int (*shared_bytes)(int stages, int levels);
};

/// The form for this many rows: 8, 16, 32, 64. Null where none is instantiated.
FormFacts attention_form_bf16(int rows, int dim, bool extras);
FormFacts attention_form_f16(int rows, int dim, bool extras);
FormFacts attention_form_f8(int rows, int dim, bool extras);

}  // namespace attune::cuda
