// Host side of cuda.attention.wgmma_split_kv: tensor maps, layout of shared memory and workspace, the launch.
#include "kernels/cuda/attention_launch.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <numbers>

#include "core/error.h"
#include "kernels/cuda/attention_host.h"
#include "kernels/cuda/kernels.h"

namespace attune::cuda {

namespace {

constexpr std::string_view kName = "cuda.attention.wgmma_split_kv";

FormFacts form_of(const AttentionDesc& d, int rows) {
  const int dim = static_cast<int>(padded_dim(d));
  const bool extras = has_extras(d);
  if (is_f8(d.kv_dtype)) return attention_form_f8(rows, dim, extras);
  return d.kv_dtype == DType::bf16 ? attention_form_bf16(rows, dim, extras) : attention_form_f16(rows, dim, extras);
}

AttentionCall call_of(const AttentionDesc& d, const AttentionParams& p) {
  AttentionCall c = {};
  c.q = p.q, c.out = p.out, c.lse = d.lse ? p.lse : nullptr;
  c.q_start = p.q_start, c.kv_lens = p.kv_lens, c.block_table = p.block_table;
  c.sinks = d.sinks ? p.sinks : nullptr, c.alibi_slopes = p.alibi_slopes, c.k_scale = p.k_scale, c.v_scale = p.v_scale;
  c.causal = p.causal, c.tree = p.tree;
  c.q_stride = p.q_stride, c.out_stride = p.out_stride, c.max_blocks = p.max_blocks, c.tree_words = p.tree_words;
  c.num_seqs = static_cast<int>(p.num_seqs), c.kv_heads = static_cast<int>(d.num_kv_heads), c.group = static_cast<int>(d.gqa_group);
  c.head_dim = static_cast<int>(d.head_dim), c.block_size = static_cast<int>(d.block_size);
  c.by_heads = inverse_of(d.num_kv_heads), c.by_group = inverse_of(d.gqa_group), c.by_block = inverse_of(d.block_size);
  c.box = static_cast<int>(std::min<int64_t>(kTile, d.block_size & -d.block_size));
  c.window = static_cast<int>(d.window), c.window_right = static_cast<int>(d.window_right);
  c.scale = p.scale, c.softcap = static_cast<float>(d.softcap);
  if (d.softcap > 0) c.softcap_inverse = static_cast<float>(2 * std::numbers::log2e / d.softcap);
  c.mask = d.mask, c.alibi = d.alibi, c.q_dtype = d.q_dtype, c.out_dtype = d.out_dtype, c.kv_scale = d.kv_scale;
  c.past_stands = p.past_stands && d.kv_source == KvSource::self_paged;
  c.read_once = p.longest_q <= kMostVerified;
  c.out_paired = reinterpret_cast<uintptr_t>(p.out) % 4 == 0 && p.out_stride % 2 == 0;
  c.q_aligned = (reinterpret_cast<uintptr_t>(p.q) | static_cast<uintptr_t>(p.q_stride * 2) | static_cast<uintptr_t>(d.head_dim * 2)) % 16 == 0;
  return c;
}

/// Counters (used where those of the module have run out), then waiting nodes, then as many partial results as fit.
void place_workspace(AttentionCall& c, int64_t node, const Workspace& w, int blocks) {
  constexpr int64_t kCounterBytes = kCounters * 4;
  const int64_t spill = blocks * c.spill_nodes * node;
  const int64_t room = static_cast<int64_t>(w.bytes) - kCounterBytes - spill;
  if (room < 0) fail(ErrorCode::internal, kName, fmt::format("a workspace of {} bytes or more", kCounterBytes + spill), std::to_string(w.bytes));
  unsigned char* at = static_cast<unsigned char*>(w.data);
  c.arrived = reinterpret_cast<int32_t*>(at);
  c.spill = reinterpret_cast<float*>(at + kCounterBytes);
  c.results = reinterpret_cast<float*>(at + kCounterBytes + spill);
  c.partials = static_cast<int>(std::min(kMostPartials, room / node));
}

void attend(const FormFacts& form, AttentionCall& c, const Workspace& w, CUtensorMap k, CUtensorMap v, int blocks, int shared, cudaStream_t stream) {
  if (int32_t* counters = counters_of(w.data)) {
    c.arrived = counters;
  } else {
    int count = kCounters;
    void* arguments[] = {&c.arrived, &count};
    start_overlapped(kName, clear_counters(), 1, 512, 0, arguments, stream);
  }
  c.tickets = c.arrived + kMostPartials;
  check(kName, cudaFuncSetAttribute(form.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
  void* arguments[] = {&c, &k, &v};
  start_overlapped(kName, form.kernel, blocks, form.threads, shared, arguments, stream);
}

}  // namespace

void attention_wgmma_split_kv(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params) {
  if (params.total_q == 0 || params.num_seqs == 0) return;
  const int rows = rows_of(desc, std::max<int64_t>(params.longest_q, 1)), dim = static_cast<int>(padded_dim(desc));
  const FormFacts form = form_of(desc, rows);
  if (form.kernel == nullptr) fail(ErrorCode::internal, kName, "an instantiation", to_text(desc));
  AttentionCall c = call_of(desc, params);
  const int levels = levels_below(params.longest_kv);
  const int waiting = waiting_nodes(levels);
  Shape shape = shape_of(rows, dim, is_f8(desc.kv_dtype), waiting);
  const int64_t row_tiles = params.num_seqs + params.total_q * desc.gqa_group / rows, chunks = int64_t{1} << levels;
  const int present = multiprocessors(kName);
  const int blocks =
      static_cast<int>(std::min<int64_t>(std::min(present, kMostMultiprocessors) * shape.blocks, row_tiles * desc.num_kv_heads * chunks));
  if (blocks <= present) shape = shape_of(rows, dim, is_f8(desc.kv_dtype), waiting, true);
  c.at = Layout(rows, dim, is_f8(desc.kv_dtype), shape.stages, shape.shared_nodes, shape.shared_fours);
  c.stages = shape.stages, c.shared_nodes = shape.shared_nodes, c.shared_fours = shape.shared_fours, c.spill_nodes = waiting - shape.shared_nodes;
  c.plan_levels = std::min(kLevels, levels + 1);
  place_workspace(c, node_floats(rows, dim) * 4, ctx.workspace, blocks);
  const CUtensorMap k = pool_map(kName, desc, params.k, params.num_blocks, c.box), v = pool_map(kName, desc, params.v, params.num_blocks, c.box);
  attend(form, c, ctx.workspace, k, v, blocks, shape.bytes, static_cast<cudaStream_t>(ctx.stream));
}

}  // namespace attune::cuda
