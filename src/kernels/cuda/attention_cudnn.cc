// cuda.attention.cudnn: the vendor's library, opened at run time, for decode over pages. One query token a sequence sees all of its keys, so there is
// no mask but the lengths, which stay on the device.
#include "kernels/cuda/attention_cudnn.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "kernels/cuda/cudnn_graph.h"
#include "kernels/cuda/current_device.h"
#include "kernels/cuda/kernels.h"

namespace attune::cuda {
namespace {

using cudnn::Data;
using cudnn::Descriptor;
using cudnn::Name;

/// The ids of what a call gives a plan, in the order in which it is given.
enum Id : int64_t { kQ = 1, kK, kV, kOut, kTableOfK, kTableOfV, kQLens, kKvLens, kScale, kLse };
constexpr std::array<int64_t, 10> kIds{kQ, kK, kV, kOut, kTableOfK, kTableOfV, kQLens, kKvLens, kScale, kLse};

/// Of the engine's kernels for decode (33, 34, 35) the one whose bits do not change from run to run (bench/results/h200.md).
constexpr int64_t kKernel = 33;

/// What a plan depends on: desc fields, sizes and strides, the room for its workspace, the device.
using Key = std::array<int64_t, 13>;

cudnn::Plan planned(const Key& key) {
  const auto [q_dtype, kv_heads, group, dim, block, lse, sequences, pages, blocks, q_stride, out_stride, room, device] = key;
  const Data type = static_cast<DType>(q_dtype) == DType::f16 ? Data::f16 : Data::bf16;
  const int64_t heads = kv_heads * group, pool_stride = kv_heads * block * dim;
  std::vector<std::pair<Name, Descriptor>> tensors;
  const auto add = [&](Name name, const cudnn::Tensor& t) { tensors.emplace_back(name, cudnn::described(t)); };
  add(Name::attention_q, {kQ, type, {sequences, heads, 1, dim}, {q_stride, dim, q_stride, 1}});
  add(Name::attention_k, {kK, type, {blocks, kv_heads, block, dim}, {pool_stride, block * dim, dim, 1}});
  add(Name::attention_v, {kV, type, {blocks, kv_heads, block, dim}, {pool_stride, block * dim, dim, 1}});
  add(Name::attention_out, {kOut, type, {sequences, heads, 1, dim}, {out_stride, dim, out_stride, 1}});
  add(Name::attention_k_table, {kTableOfK, Data::i32, {sequences, 1, pages, 1}, {pages, pages, 1, 1}, 4});
  add(Name::attention_v_table, {kTableOfV, Data::i32, {sequences, 1, pages, 1}, {pages, pages, 1, 1}, 4});
  add(Name::attention_q_lens, {kQLens, Data::i32, {sequences, 1, 1, 1}, {1, 1, 1, 1}, 4});
  add(Name::attention_kv_lens, {kKvLens, Data::i32, {sequences, 1, 1, 1}, {1, 1, 1, 1}, 4});
  add(Name::attention_scale, {kScale, Data::f32, {1, 1, 1, 1}, {1, 1, 1, 1}, 4, true});
  if (lse != 0) add(Name::attention_lse, {kLse, Data::f32, {sequences, heads, 1, 1}, {heads, 1, heads, 1}, 4});
  Descriptor op(cudnn::Kind::attention);
  for (const auto& [name, tensor] : tensors) op.set(name, tensor);
  return {op.finish(), kKernel, static_cast<size_t>(room)};
}

/// Plans are made once for each kind of call, and are never taken down: a captured graph may hold their kernels, and at exit the driver may have
/// gone before.
const cudnn::Plan& plan_of(const Key& key) {
  static auto& plans = *new std::map<Key, cudnn::Plan>;
  const auto found = plans.find(key);
  return found != plans.end() ? found->second : plans.emplace(key, planned(key)).first->second;
}

bool is_aligned(const void* at, int64_t stride) { return (reinterpret_cast<uintptr_t>(at) | static_cast<uintptr_t>(stride * 2)) % 16 == 0; }

CudnnStaging staging_of(const AttentionDesc& d, const AttentionParams& p, const CudnnLayout& at, uint8_t* workspace) {
  return {.q = static_cast<const uint16_t*>(p.q),
          .out = static_cast<uint16_t*>(p.out),
          .block_table = p.block_table,
          .q_stride = p.q_stride,
          .out_stride = p.out_stride,
          .max_blocks = p.max_blocks,
          .row = d.num_q_heads() * d.head_dim,
          .pages = at.pages,
          .staged_q = is_aligned(p.q, p.q_stride) ? nullptr : reinterpret_cast<uint16_t*>(workspace + at.q),
          .staged_out = is_aligned(p.out, p.out_stride) ? nullptr : reinterpret_cast<uint16_t*>(workspace + at.out),
          .staged_table = p.max_blocks == at.pages ? nullptr : reinterpret_cast<int32_t*>(workspace + at.table)};
}

Key key_of(const AttentionDesc& d, const AttentionParams& p, const CudnnStaging& s, int64_t room) {
  return {static_cast<int64_t>(d.q_dtype),
          d.num_kv_heads,
          d.gqa_group,
          d.head_dim,
          d.block_size,
          d.lse,
          p.num_seqs,
          s.pages,
          p.num_blocks,
          s.staged_q ? s.row : p.q_stride,
          s.staged_out ? s.row : p.out_stride,
          room,
          current_device("cuda.attention.cudnn")};
}

/// At most kMostSequences. The handle knows one stream: one call at a time.
void decode(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  const CudnnLayout at(d, p.num_seqs, p.longest_kv);
  const int64_t room = static_cast<int64_t>(ctx.workspace.bytes) - at.end;
  if (room < 0)
    fail(ErrorCode::internal, "cuda.attention.cudnn", fmt::format("a workspace of {} bytes or more", at.end), fmt::to_string(ctx.workspace.bytes));
  auto* workspace = static_cast<uint8_t*>(ctx.workspace.data);
  const CudnnStaging s = staging_of(d, p, at, workspace);
  float scale = p.scale;
  const auto pointer = [](const void* to) { return const_cast<void*>(to); };
  void* const table = pointer(s.staged_table ? s.staged_table : p.block_table);
  const std::array<void*, kIds.size()> pointers{pointer(s.staged_q ? s.staged_q : p.q),
                                                pointer(p.k),
                                                pointer(p.v),
                                                s.staged_out ? s.staged_out : p.out,
                                                table,
                                                table,
                                                pointer(cudnn_ones()),
                                                pointer(p.kv_lens),
                                                &scale,
                                                p.lse};
  const size_t count = kIds.size() - (d.lse ? 0 : 1);
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const cudnn::Plan& plan = plan_of(key_of(d, p, s, room));
  if (s.staged_q || s.staged_table) stage_cudnn_inputs(s, p.num_seqs, ctx.stream);
  plan.run(std::span(kIds).first(count), std::span(pointers).first(count), workspace + at.end, ctx.stream);
  if (s.staged_out) unstage_cudnn_output(s, p.num_seqs, ctx.stream);
}

}  // namespace

void attention_cudnn(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& all) {
  for (int64_t first = 0; first < all.num_seqs; first += kMostSequences) {
    AttentionParams p = all;
    p.num_seqs = p.total_q = std::min(kMostSequences, all.num_seqs - first);
    p.q = static_cast<const uint16_t*>(all.q) + first * all.q_stride;
    p.out = static_cast<uint16_t*>(all.out) + first * all.out_stride;
    if (d.lse) p.lse = all.lse + first * d.num_q_heads();
    p.kv_lens = all.kv_lens + first, p.block_table = all.block_table + first * all.max_blocks;
    decode(ctx, d, p);
  }
}

}  // namespace attune::cuda
