#pragma once

// cuBLASLt as a candidate: what the page declares and what measurements enumerate. Plain C++.

#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int64_t kCublasLtWorkspace = int64_t{32} << 20;

/// How many of the library's algorithms for a call its heuristics offer, at most 8.
int cublaslt_algorithms(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

/// The call by the `index`-th of them.
void matmul_cublaslt_by(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params, int index);

}  // namespace attune::cuda
