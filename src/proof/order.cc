#include "proof/order.h"

#include <algorithm>
#include <cstring>

#include "proof/attention_rows.h"
#include "proof/order_launch.h"

namespace attune {
namespace {

/// A run of rows of one sequence as a call of its own, on the same tensors but with lengths and outputs of its own.
class Part {
 public:
  Part(const AttentionDesc& desc, const AttentionParams& p, int64_t seq, int64_t first_row, int64_t rows, int64_t kv_len)
      : desc_(desc), first_(p.q_start[seq] + first_row), rows_(rows), kv_len_(kv_len), params_(p) {
    const int64_t heads = desc.num_q_heads(), kv_heads = desc.num_kv_heads;
    auto* starts = memory_.add<int32_t>("q_start", DType::i32, 2);
    auto* length = memory_.add<int32_t>("kv_lens", DType::i32, 1);
    starts[0] = 0, starts[1] = static_cast<int32_t>(rows), length[0] = static_cast<int32_t>(kv_len);
    params_.num_seqs = 1, params_.total_q = rows, params_.longest_q = rows, params_.longest_kv = kv_len;
    params_.q_start = starts, params_.kv_lens = length;
    params_.q = at(p.q, desc.q_dtype, first_ * p.q_stride);
    if (p.block_table) params_.block_table = p.block_table + seq * p.max_blocks;
    if (p.kv_start) params_.kv_start = p.kv_start + seq;
    if (desc.q_scale == Scales::seq_head) params_.q_scale = p.q_scale + seq * heads;
    if (desc.q_scale == Scales::token_head) params_.q_scale = p.q_scale + first_ * heads;
    if (desc.kv_scale == Scales::seq_head) params_.k_scale = p.k_scale + seq * kv_heads, params_.v_scale = p.v_scale + seq * kv_heads;
    if (p.causal) params_.causal = p.causal + seq;
    if (p.ranges) params_.ranges = p.ranges + seq * p.num_ranges * 2;
    params_.out = memory_.add("out", desc.out_dtype, rows * heads * desc.head_dim);
    params_.out_stride = heads * desc.head_dim;
    params_.lse = desc.lse ? memory_.add<float>("lse", DType::f32, rows * heads) : nullptr;
  }

  /// True if a launch of this part writes the bits that the whole batch has.
  bool agrees(const AttentionKernel& kernel, const AttentionParams& whole, const LaunchSite& site, const Placed& tensors) {
    Placed own(memory_, site);
    const Limits limits{.tokens = rows_, .sequences = 1, .longest_kv = std::max<int64_t>(1, kv_len_)};
    launch<Attention>(kernel, desc_, params_, limits, site, tensors, &own);
    own.fetch();
    const int64_t heads = desc_.num_q_heads(), width = heads * desc_.head_dim;
    const size_t bytes = static_cast<size_t>(width) * size_of(desc_.out_dtype);
    for (int64_t r = 0; r < rows_; ++r) {
      if (std::memcmp(at(params_.out, desc_.out_dtype, r * width), at(whole.out, desc_.out_dtype, (first_ + r) * whole.out_stride), bytes) != 0)
        return false;
      if (desc_.lse && std::memcmp(params_.lse + r * heads, whole.lse + (first_ + r) * heads, static_cast<size_t>(heads) * 4) != 0) return false;
    }
    return true;
  }

 private:
  AttentionDesc desc_;
  int64_t first_, rows_, kv_len_;
  AttentionParams params_;
  Memory memory_{Guard::slack};
};

/// The keys that a run of rows needs to see the same as a call of its own; −1 where no call can say it. The last rows of a sequence always
/// can; earlier ones if their positions do not matter, or if the causal mask hides the keys that are left out.
int64_t kv_len_of_part(const AttentionDesc& d, const RowView& last_row, bool ends_the_sequence) {
  if (ends_the_sequence) return last_row.kv_len;
  if (d.ranges) return -1;
  if (last_row.causal) return last_row.position >= 0 ? last_row.position + 1 : -1;
  const bool position_matters = d.window > 0 || d.window_right >= 0 || d.alibi != Alibi::none;
  return position_matters ? -1 : last_row.kv_len;
}

struct Rows {
  int64_t first, count;
};

/// The whole sequence, its halves, its last 32 rows and some single ones.
std::vector<Rows> parts_of(int64_t rows) {
  std::vector<Rows> out = {{0, rows}};
  const auto add = [&](int64_t first, int64_t count) {
    const bool known = std::any_of(out.begin(), out.end(), [&](const Rows& r) { return r.first == first && r.count == count; });
    if (count > 0 && !known) out.push_back({first, count});
  };
  add(0, rows / 2);
  add(rows / 2, rows - rows / 2);
  add(std::max<int64_t>(0, rows - 32), std::min<int64_t>(rows, 32));
  for (const int64_t row : {int64_t{0}, rows / 2, rows - 1}) add(row, 1);
  return out;
}

/// Every phase in which so many rows may come.
std::vector<Phase> phases_of(int64_t rows) {
  if (rows == 1) return {Phase::decode, Phase::prefill};
  if (rows <= 32) return {Phase::verify, Phase::prefill};
  return {Phase::prefill};
}

}  // namespace

template <class Op>
std::vector<uint8_t> output_bits(const Kernel<Op>& kernel, const Case<Op>& c, const LaunchSite& site) {
  Problem<Op> problem(c, {});
  Placed tensors(problem.memory, site);
  launch<Op>(kernel, c.desc, problem.params, problem.limits(), site, tensors);
  tensors.fetch();
  return problem.memory.written();
}

std::string check_order(const AttentionKernel& kernel, const Case<Attention>& c, const LaunchSite& site) {
  if (c.desc.mask == Mask::tree) return "";
  Problem<Attention> problem(c, {});
  const AttentionParams& p = problem.params;
  Placed tensors(problem.memory, site);
  launch<Attention>(kernel, c.desc, p, problem.limits(), site, tensors);
  tensors.fetch();
  for (int64_t s = 0; s < p.num_seqs; ++s) {
    const int64_t rows = p.q_start[s + 1] - p.q_start[s];
    if (rows == 0) continue;
    for (const Rows& part : parts_of(rows)) {
      const int64_t last = part.first + part.count - 1;
      const int64_t kv_len = kv_len_of_part(c.desc, AttentionRows::view(c.desc, p, s, p.q_start[s] + last), last == rows - 1);
      if (kv_len < 0) continue;
      for (const Phase phase : phases_of(part.count)) {
        AttentionDesc desc = c.desc;
        desc.phase = phase;
        if (!admits(kernel, desc)) continue;
        if (!Part(desc, p, s, part.first, part.count, kv_len).agrees(kernel, p, site, tensors))
          return fmt::format("rows {}..{} of sequence {} give other bits alone, as {}, than in the batch", part.first, last, s, to_text(phase));
      }
    }
  }
  return "";
}

std::string check_order(const MatmulKernel& kernel, const Case<Matmul>& c, const LaunchSite& site) {
  const MatmulDesc& d = c.desc;
  Problem<Matmul> problem(c, {});
  const MatmulParams& p = problem.params;
  // An output that is its own residual is gone after the first run: keep the residual apart.
  const int64_t spanned = d.residual && p.m > 0 ? (p.m - 1) * p.out_stride + d.n : 0;
  const std::vector<float> residual(p.residual, p.residual + spanned);
  Placed tensors(problem.memory, site);
  launch<Matmul>(kernel, d, p, problem.limits(), site, tensors);
  tensors.fetch();
  const size_t row_bytes = static_cast<size_t>(d.n) * size_of(d.out_dtype);
  for (int64_t first : {int64_t{0}, p.m / 2, p.m - 1})
    for (int64_t rows = 1; rows <= 2 && first >= 0 && first + rows <= p.m; ++rows) {
      MatmulParams part = p;
      Memory own(Guard::slack);
      part.m = rows;
      part.x = at(p.x, d.x_dtype, first * p.x_stride);
      if (d.x_scale == Scales::token) part.x_scale = p.x_scale + first;
      if (d.x_scale == Scales::block_1x128) part.x_scale = p.x_scale + first * ((d.k + 127) / 128);
      if (d.residual) {
        const int64_t count = (rows - 1) * p.out_stride + d.n;
        auto* copy = own.add<float>("residual", DType::f32, count);
        std::copy_n(residual.data() + first * p.out_stride, count, copy);
        part.residual = copy;
      }
      part.out = own.add("out", d.out_dtype, rows * p.out_stride);
      Placed outputs(own, site);
      launch<Matmul>(kernel, d, part, problem.limits(), site, tensors, &outputs);
      outputs.fetch();
      for (int64_t r = 0; r < rows; ++r)
        if (std::memcmp(at(part.out, d.out_dtype, r * p.out_stride), at(p.out, d.out_dtype, (first + r) * p.out_stride), row_bytes) != 0)
          return fmt::format("row {} gives other bits in a call of {} rows than in one of {}", first + r, rows, p.m);
    }
  return "";
}

template std::vector<uint8_t> output_bits(const Kernel<Attention>&, const Case<Attention>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<KvWrite>&, const Case<KvWrite>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<Matmul>&, const Case<Matmul>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<Norm>&, const Case<Norm>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<Rope>&, const Case<Rope>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<RopeKvWrite>&, const Case<RopeKvWrite>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<ActivationOp>&, const Case<ActivationOp>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<Embed>&, const Case<Embed>&, const LaunchSite&);
template std::vector<uint8_t> output_bits(const Kernel<Sample>&, const Case<Sample>&, const LaunchSite&);

}  // namespace attune
