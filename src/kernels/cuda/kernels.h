#pragma once

// The launch functions of this folder, for its page and for measurements.

#include "kernels/cuda/matmul_skinny.h"
#include "kernels/cuda/matmul_wgmma.h"
#include "ops/catalogue.h"

namespace attune::cuda {

/// At most 64 rows of x, bf16 or f16 as the weights; K a multiple of 8. Weights may be read before the launches that precede it in the stream
/// have finished, so none of those may write them.
void matmul_skinny(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

/// Any number of rows of x; the types, K and the reading of weights as above.
void matmul_wgmma(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

/// The same with the order of sums, and so the bits, of matmul_skinny.
void matmul_wgmma_split2(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

/// The same order again, for few tiles: the two parts of K are summed at once.
void matmul_wgmma_halves(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

/// Paged attention for decode, verify and prefill. Lengths are not read on the host.
void attention_wgmma_split_kv(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

/// Paged attention for many query tokens. The scale must be above 0. Lengths are not read on the host.
void attention_wgmma_prefill(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

/// cuDNN, opened at run time: decode over pages. Lengths are not read on the host. DeviceError if the library is absent, NotSupported if it has no
/// engine.
void attention_cudnn(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

/// cuBLASLt, opened at run time: one call for segments that are adjacent in memory; DeviceError if the library is absent.
void matmul_cublaslt(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

}  // namespace attune::cuda
