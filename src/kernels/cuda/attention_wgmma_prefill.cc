// Host side of cuda.attention.wgmma_prefill: tensor maps of the queries and of the page pool, two launches (clear the ticket, attend).
#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/error.h"
#include "kernels/cuda/attention_host.h"
#include "kernels/cuda/attention_prefill.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/tensor_map.h"

namespace attune::cuda {
namespace {

constexpr std::string_view kName = "cuda.attention.wgmma_prefill";

int64_t pool_rows(const AttentionDesc& d, const AttentionParams& p) { return p.num_blocks * d.num_kv_heads * d.block_size; }

PrefillCall call_of(const AttentionDesc& d, const AttentionParams& p) {
  PrefillCall c = {};
  c.q = p.q, c.out = p.out, c.lse = d.lse ? p.lse : nullptr;
  c.q_start = p.q_start, c.kv_lens = p.kv_lens, c.block_table = p.block_table;
  c.sinks = d.sinks ? p.sinks : nullptr, c.alibi_slopes = p.alibi_slopes, c.causal = p.causal;
  c.q_stride = p.q_stride, c.out_stride = p.out_stride, c.max_blocks = p.max_blocks;
  c.num_seqs = static_cast<int>(p.num_seqs), c.kv_heads = static_cast<int>(d.num_kv_heads), c.group = static_cast<int>(d.gqa_group);
  c.head_dim = static_cast<int>(d.head_dim), c.block_size = static_cast<int>(d.block_size);
  c.box = static_cast<int>(std::min<int64_t>(prefill_tile(prefill_dim(d.head_dim)), d.block_size & -d.block_size));

  c.nowhere = static_cast<int>(pool_rows(d, p));
  c.tokens = kPrefillRows / c.group;
  c.window = static_cast<int>(d.window), c.window_right = static_cast<int>(d.window_right);
  c.scale = p.scale, c.softcap = static_cast<float>(d.softcap);
  c.mask = d.mask, c.alibi = d.alibi, c.out_dtype = d.out_dtype;
  c.q_mapped = is_mappable(p.q, p.q_stride);
  const uintptr_t unit = d.out_dtype == DType::f32 ? 8 : 16, size = size_of(d.out_dtype);
  c.out_aligned =
      (reinterpret_cast<uintptr_t>(p.out) | static_cast<uintptr_t>(p.out_stride) * size | static_cast<uintptr_t>(d.head_dim) * size) % unit == 0;
  return c;
}

void start(const void* form, PrefillCall& c, CUtensorMap q, CUtensorMap k, CUtensorMap v, int64_t blocks, int shared, cudaStream_t stream) {
  check(kName, cudaFuncSetAttribute(form, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
  void* ticket[] = {&c.ticket};
  check(kName, cudaLaunchKernel(prefill_clear(), dim3(1), dim3(1), ticket, 0, stream));
  void* arguments[] = {&c, &q, &k, &v};
  start_overlapped(kName, form, blocks, kPrefillThreads, shared, arguments, stream);
}

}  // namespace

void attention_wgmma_prefill(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  if (p.total_q == 0 || p.num_seqs == 0) return;
  if (!(p.scale > 0)) fail(ErrorCode::invalid_argument, kName, "a scale above 0", std::to_string(p.scale));
  if (ctx.workspace.bytes < kPrefillWorkspace)
    fail(ErrorCode::internal, kName, fmt::format("a workspace of {} bytes or more", kPrefillWorkspace), std::to_string(ctx.workspace.bytes));
  const int dim = prefill_dim(d.head_dim);
  const bool extras = d.softcap > 0 || d.alibi != Alibi::none;
  const void* kernel = d.q_dtype == DType::bf16 ? prefill_form_bf16(dim, extras) : prefill_form_f16(dim, extras);
  if (kernel == nullptr) fail(ErrorCode::internal, kName, "an instantiation", to_text(d));
  PrefillCall c = call_of(d, p);
  c.ticket = static_cast<int32_t*>(ctx.workspace.data);
  const CUtensorMap k = pool_map(kName, d, p.k, p.num_blocks, c.box), v = pool_map(kName, d, p.v, p.num_blocks, c.box);
  const CUtensorMap q = c.q_mapped ? heads_map(p.q, d.q_dtype, p.total_q, d.num_q_heads(), d.head_dim, p.q_stride, c.tokens, c.group) : k;
  const int64_t units = (p.num_seqs + p.total_q / c.tokens) * d.num_kv_heads;
  start(kernel, c, q, k, v, std::min<int64_t>(units, multiprocessors(kName)), static_cast<int>(prefill_shared_memory(d)),
        static_cast<cudaStream_t>(ctx.stream));
}

}  // namespace attune::cuda
