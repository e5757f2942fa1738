#include "problem.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/attention_math.h"
#include "select/judge.h"

namespace attune {
namespace {

enum What { kQuery, kKey, kValue, kQueryScale, kKeyScale, kValueScale, kFlag, kRange, kTree, kHead, kOrder };

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint32_t nan_bits(DType t) {
  switch (t) {
    case DType::f32: return 0x7fc00000u;
    case DType::f16: return 0x7e007e00u;
    case DType::bf16: return 0x7fc07fc0u;
    case DType::f8_e4m3fnuz: return 0x80808080u;
    default: return 0x7f7f7f7fu;
  }
}

double rounding(DType t) {  // one unit in the last place, relative
  switch (t) {
    case DType::f32: return 0x1p-23;
    case DType::f16: return 0x1p-10;
    case DType::bf16: return 0x1p-7;
    default: return 0x1p-3;
  }
}
double smallest_step(DType t) { return t == DType::f16 ? 0x1p-24 : t == DType::f8_e4m3 ? 0x1p-9 : t == DType::f8_e4m3fnuz ? 0x1p-10 : 0; }

constexpr uint8_t kUntouched = 0xa5;

}  // namespace

float Problem::draw(uint64_t content, int what, int64_t position, int64_t head, int64_t d) const {
  const uint64_t h = mix(mix(mix(seed_ * 64 + static_cast<uint64_t>(what)) ^ content) ^
                         (static_cast<uint64_t>(position + 100000) << 32 | static_cast<uint64_t>(head) << 16 | static_cast<uint64_t>(d)));
  return static_cast<float>(static_cast<double>(h >> 11) * 0x1p-52 - 1);
}

Guarded& Problem::make(size_t bytes) {
  buffers_.push_back(std::make_unique<Guarded>(bytes, (mix(seed_ + buffers_.size()) & 3) != 0));
  return *buffers_.back();
}
template <class T>
T* Problem::make_array(size_t count) {
  return make(count * sizeof(T)).template as<T>();
}
void Problem::poison(Guarded& memory, DType type) {
  const uint32_t bits = nan_bits(type);
  for (size_t i = 0; i < memory.bytes(); ++i) memory.data()[i] = static_cast<char>(bits >> (i % 4 * 8));
}

Problem::Problem(const AttentionDesc& d, std::vector<SequenceSpec> s, uint64_t seed) : desc(d), sequences(std::move(s)), seed_(seed) {
  params.num_seqs = static_cast<int64_t>(sequences.size());
  auto* q_start = make_array<int32_t>(sequences.size() + 1);
  auto* kv_lens = make_array<int32_t>(sequences.size());
  q_start[0] = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (sequences[i].full_len == 0) sequences[i].full_len = sequences[i].kv_len;
    q_start[i + 1] = q_start[i] + static_cast<int32_t>(sequences[i].q_len);
    kv_lens[i] = static_cast<int32_t>(sequences[i].kv_len);
    params.longest_q = std::max(params.longest_q, sequences[i].q_len);
    params.longest_kv = std::max(params.longest_kv, sequences[i].kv_len);
  }
  params.q_start = q_start, params.kv_lens = kv_lens, params.total_q = q_start[sequences.size()];
  params.scale = static_cast<float>(1.7 / std::sqrt(static_cast<double>(desc.head_dim)));
  row_elements_ = desc.num_q_heads() * desc.head_dim;
  fill_masks();
  fill_queries();
  fill_cache();
  params.out_stride = row_elements_ + static_cast<int64_t>(mix(seed + 1) % 4);
  const size_t rows = static_cast<size_t>(params.total_q);
  out_ =
      &make(rows == 0 ? 0 : (((rows - 1) * static_cast<size_t>(params.out_stride)) + static_cast<size_t>(row_elements_)) * size_of(desc.out_dtype));
  params.out = out_->data();
  lse_ = &make(desc.lse ? rows * static_cast<size_t>(desc.num_q_heads()) * 4 : 0);
  params.lse = lse_->as<float>();
  if (desc.out_scale) {
    auto* scale = make_array<float>(1);
    scale[0] = desc.out_dtype == DType::f8_e4m3 ? 0.013f : 0.4f;
    params.out_scale = scale;
  }
}

void Problem::fill_masks() {
  const size_t heads = static_cast<size_t>(desc.num_q_heads()), n = sequences.size();
  auto* causal = make_array<uint8_t>(n);
  for (size_t i = 0; i < n; ++i) causal[i] = draw(sequences[i].content, kFlag, 0, 0, 0) > 0;
  params.causal = causal;
  if (desc.mask == Mask::tree) {
    params.tree_words = (params.longest_q + 31) / 32;
    auto* tree = make_array<uint32_t>(static_cast<size_t>(params.total_q * params.tree_words));
    params.tree = tree;
    for (size_t i = 0; i < n; ++i)
      for (int64_t row = 0; row < sequences[i].q_len; ++row)
        for (int64_t w = 0; w < params.tree_words; ++w) {
          uint32_t& bits = tree[(params.q_start[i] + row) * params.tree_words + w] = 0;
          for (int64_t b = 0; b < 32; ++b) {
            const int64_t j = w * 32 + b;
            if (j == row || (j < row && draw(sequences[i].content, kTree, row, 0, j) > 0.2f)) bits |= 1u << b;
          }
        }
  }
  if (desc.ranges) {
    params.num_ranges = 3;
    auto* ranges = make_array<int32_t>(n * 6);
    params.ranges = ranges;
    for (size_t i = 0; i < n * 3; ++i) {
      const SequenceSpec& s = sequences[i / 3];
      const double length = static_cast<double>(s.full_len), at = (draw(s.content, kRange, static_cast<int64_t>(i % 3), 0, 0) + 1) / 2;
      ranges[2 * i] = static_cast<int32_t>(length * at * 0.9);
      ranges[2 * i + 1] = static_cast<int32_t>(std::min(length, length * at * 0.9 + length * 0.15 + 2));
    }
  }
  auto* sinks = make_array<float>(heads);
  auto* slopes = make_array<float>(heads);
  for (size_t h = 0; h < heads; ++h) {
    sinks[h] = 3 * draw(0, kHead, 0, static_cast<int64_t>(h), 0);
    slopes[h] = 0.01f + 0.2f * std::abs(draw(0, kHead, 1, static_cast<int64_t>(h), 0));
  }
  if (desc.sinks) params.sinks = sinks;
  if (desc.alibi != Alibi::none) params.alibi_slopes = slopes;
}

void Problem::fill_queries() {
  params.q_stride = row_elements_ + static_cast<int64_t>(mix(seed_) % 3) * 8;
  const int64_t heads = desc.num_q_heads();
  Guarded& q = make(params.total_q == 0 ? 0 : static_cast<size_t>((params.total_q - 1) * params.q_stride + row_elements_) * size_of(desc.q_dtype));
  poison(q, desc.q_dtype);
  params.q = q.data();
  const int64_t scales = desc.q_scale == Scales::head         ? heads
                         : desc.q_scale == Scales::seq_head   ? heads * params.num_seqs
                         : desc.q_scale == Scales::token_head ? heads * params.total_q
                                                              : 1;
  auto* scale = make_array<float>(static_cast<size_t>(scales));
  if (desc.q_scale != Scales::none) params.q_scale = scale;
  for (size_t i = 0; i < sequences.size(); ++i)
    for (int64_t row = 0; row < sequences[i].q_len; ++row) {
      const int64_t position = sequences[i].kv_len - sequences[i].q_len + row, token = params.q_start[i] + row;
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t d = 0; d < desc.head_dim; ++d)
          store_from_float(q.data(), desc.q_dtype, token * params.q_stride + h * desc.head_dim + d,
                           2 * draw(sequences[i].content, kQuery, position, h, d));
        const Scales s = desc.q_scale;
        const uint64_t content = s == Scales::seq_head || s == Scales::token_head ? sequences[i].content : 0;
        scale[scale_index(s, static_cast<int64_t>(i), token, h, heads)] =
            0.8f + 0.4f * draw(content, kQueryScale, s == Scales::token_head ? position : 0, s == Scales::tensor ? 0 : h, 0);
      }
    }
}

bool Problem::anyone_sees(size_t s, int64_t key) const {
  const SequenceSpec& spec = sequences[s];
  for (int64_t row = 0; row < spec.q_len; ++row) {
    RowView r;
    r.kv_len = spec.kv_len, r.q_len = spec.q_len, r.position = spec.kv_len - spec.q_len + row;
    r.causal = desc.mask == Mask::causal || (desc.mask == Mask::per_request && params.causal[s] != 0);
    if (desc.mask == Mask::tree) r.tree = params.tree + (params.q_start[s] + row) * params.tree_words;
    if (desc.ranges) r.ranges = params.ranges + s * 6, r.num_ranges = params.num_ranges;
    r.window = desc.window, r.window_right = desc.window_right;
    if (visible(r, key)) return true;
  }
  return false;
}

void Problem::fill_slot(size_t s, int64_t key, int64_t element, int64_t scale, int64_t head) {
  const uint64_t content = sequences[s].content;
  for (int64_t d = 0; d < desc.head_dim; ++d) {
    store_from_float(const_cast<void*>(params.k), desc.kv_dtype, element + d, 2 * draw(content, kKey, key, head, d));
    store_from_float(const_cast<void*>(params.v), desc.kv_dtype, element + d, 2 * draw(content, kValue, key, head, d));
  }
  double value_scale = 1, key_scale = 1;
  if (desc.kv_scale != Scales::none) {
    const uint64_t owner = desc.kv_scale == Scales::seq_head || desc.kv_scale == Scales::token_head ? content : 0;
    const int64_t token = desc.kv_scale == Scales::token_head ? key : 0, h = desc.kv_scale == Scales::tensor ? 0 : head;
    key_scale = const_cast<float*>(params.k_scale)[scale] = 0.8f + 0.4f * draw(owner, kKeyScale, token, h, 0);
    value_scale = const_cast<float*>(params.v_scale)[scale] = 1.5f + draw(owner, kValueScale, token, h, 0);
  }
  largest_value = std::max(largest_value, 2 * value_scale);
  largest_score = std::max(largest_score, 0.6 * 4 * static_cast<double>(desc.head_dim) * params.scale * std::max(1.0, key_scale) *
                                              (desc.q_scale != Scales::none ? 1.2 : 1));
}

void Problem::fill_cache() {
  const bool ragged = desc.kv_source == KvSource::ragged;
  const int64_t heads = desc.num_kv_heads, block = desc.block_size;
  int64_t slots = 0;
  std::vector<int64_t> blocks_of;
  auto* kv_start = make_array<int32_t>(sequences.size() + 1);
  kv_start[0] = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    blocks_of.push_back((sequences[i].kv_len + block - 1) / block);
    params.max_blocks = std::max(params.max_blocks, blocks_of.back() + 1);
    params.num_blocks += blocks_of.back();
    kv_start[i + 1] = kv_start[i] + static_cast<int32_t>(sequences[i].kv_len);
  }
  params.num_blocks += 2;
  params.kv_start = kv_start;
  params.kv_stride = heads * desc.head_dim + static_cast<int64_t>(mix(seed_ + 5) % 3);
  slots = ragged ? kv_start[sequences.size()] : params.num_blocks * block;
  const int64_t elements = ragged ? slots * params.kv_stride : slots * heads * desc.head_dim;
  Guarded& k = make(static_cast<size_t>(elements) * size_of(desc.kv_dtype));
  Guarded& v = make(static_cast<size_t>(elements) * size_of(desc.kv_dtype));
  poison(k, desc.kv_dtype), poison(v, desc.kv_dtype);
  params.k = k.data(), params.v = v.data();
  const Scales s = desc.kv_scale;
  const int64_t scales = s == Scales::head ? heads : s == Scales::seq_head ? heads * params.num_seqs : s == Scales::token_head ? heads * slots : 1;
  Guarded& k_scale = make(static_cast<size_t>(scales) * 4);
  Guarded& v_scale = make(static_cast<size_t>(scales) * 4);
  poison(k_scale, DType::f32), poison(v_scale, DType::f32);
  if (s != Scales::none) params.k_scale = k_scale.as<float>(), params.v_scale = v_scale.as<float>();

  auto* table = make_array<int32_t>(static_cast<size_t>(params.num_seqs * params.max_blocks));
  params.block_table = ragged ? nullptr : table;
  for (int64_t i = 0; i < params.num_seqs * params.max_blocks; ++i) table[i] = INT32_MAX;
  std::vector<int32_t> order(static_cast<size_t>(params.num_blocks));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[mix(seed_ * 31 + i) % (i + 1)]);
  size_t next = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    for (int64_t b = 0; !ragged && b < blocks_of[i]; ++b) table[static_cast<int64_t>(i) * params.max_blocks + b] = order[next++];
    for (int64_t key = 0; key < sequences[i].kv_len; ++key) {
      if (!anyone_sees(i, key)) continue;
      for (int64_t h = 0; h < heads; ++h) {
        if (ragged) {
          const int64_t token = kv_start[i] + key;
          fill_slot(i, key, token * params.kv_stride + h * desc.head_dim, scale_index(s, static_cast<int64_t>(i), token, h, heads), h);
          continue;
        }
        const int64_t page = table[static_cast<int64_t>(i) * params.max_blocks + key / block], offset = key % block;
        const int64_t scale =
            s == Scales::token_head ? paged_scale_index(page, h, offset, heads, block) : scale_index(s, static_cast<int64_t>(i), 0, h, heads);
        fill_slot(i, key, hnd_offset(page, h, offset, heads, block, desc.head_dim), scale, h);
      }
    }
  }
  if (desc.alibi == Alibi::plain) largest_score += 0.21 * static_cast<double>(params.longest_kv + params.longest_q);
}

std::string Problem::run(const AttentionKernel& kernel, ThreadPool& pool, size_t workspace_limit) {
  const Limits limits{params.total_q, params.num_seqs, params.longest_kv, pool.size()};
  const size_t bytes = kernel.workspace == nullptr ? 0 : std::min(workspace_limit, static_cast<size_t>(kernel.workspace(desc, limits)));
  Guarded workspace(bytes);
  workspace.fill(0xff);
  out_->fill(kUntouched), lse_->fill(kUntouched);
  ExecContext ctx;
  ctx.pool = &pool;
  ctx.workspace = {bytes == 0 ? nullptr : workspace.data(), bytes};
  kernel.launch(ctx, desc, params);
  const size_t item = size_of(desc.out_dtype), row = static_cast<size_t>(row_elements_) * item,
               stride = static_cast<size_t>(params.out_stride) * item;
  std::string result;
  for (int64_t t = 0; t < params.total_q; ++t) {
    const char* at = out_->data() + static_cast<size_t>(t) * stride;
    result.append(at, row);
    if (t + 1 < params.total_q)
      EXPECT_TRUE(std::all_of(at + row, at + stride, [](char c) { return static_cast<uint8_t>(c) == kUntouched; }))
          << "gap of row " << t << " written";
  }
  return result.append(lse_->data(), lse_->bytes());
}

std::string Problem::rows_of(const std::string& result, size_t s, int64_t first, int64_t count) const {
  if (count < 0) count = sequences[s].q_len - first;
  const size_t row = static_cast<size_t>(row_elements_) * size_of(desc.out_dtype),
               lse_row = desc.lse ? static_cast<size_t>(desc.num_q_heads()) * 4 : 0;
  const size_t begin = static_cast<size_t>(params.q_start[s] + first), n = static_cast<size_t>(count),
               lse_at = static_cast<size_t>(params.total_q) * row;
  return result.substr(begin * row, n * row) + result.substr(lse_at + begin * lse_row, n * lse_row);
}

float Problem::output(const std::string& result, int64_t token, int64_t head, int64_t d) const {
  return load_as_float(result.data(), desc.out_dtype, token * row_elements_ + head * desc.head_dim + d);
}
float Problem::lse(const std::string& result, int64_t token, int64_t head) const {
  return load_as_float(result.data() + static_cast<size_t>(params.total_q * row_elements_) * size_of(desc.out_dtype), DType::f32,
                       token * desc.num_q_heads() + head);
}

std::vector<const AttentionKernel*> runnable_kernels() {
  static const DeviceProps device = detect_cpu();
  std::vector<const AttentionKernel*> out;
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.backend() == "cpu" && check_device(k->info, k->launch != nullptr, device).empty()) out.push_back(k);
  return out;
}

std::vector<const AttentionKernel*> kernels_for(const AttentionDesc& desc) {
  static const DeviceProps device = detect_cpu();
  std::vector<const AttentionKernel*> out;
  for (const AttentionKernel* k : runnable_kernels())
    if (check(*k, device, desc).empty()) out.push_back(k);
  return out;
}

std::string compare(const Problem& p, const AttentionKernel& kernel, const std::string& got, const std::string& expected) {
  const bool weights_bf16 = kernel.info.reduction.find("p_bf16") != std::string_view::npos;
  const double dim = static_cast<double>(p.desc.head_dim), keys = static_cast<double>(std::min<int64_t>(256, p.params.longest_kv));
  // Scores: a chain of head_dim products; weights: two roundings of exp, one to bf16; outputs: a chain of at most a chunk of tokens.
  const double score_error = 0x1p-24 * (dim + 16) * p.largest_score, weight_error = score_error + 0x1p-22 + (weights_bf16 ? 0x1p-9 : 0);
  const double unit = p.desc.out_scale ? 1 / static_cast<double>(p.params.out_scale[0]) : 1;
  const double absolute = p.largest_value * unit * (2 * weight_error + 0x1p-24 * (keys + 32));
  double squares = 0, count = 0;
  for (int64_t t = 0; t < p.params.total_q; ++t)
    for (int64_t h = 0; h < p.desc.num_q_heads(); ++h) {
      for (int64_t d = 0; d < p.desc.head_dim; ++d) {
        const double x = p.output(got, t, h, d), y = p.output(expected, t, h, d), error = std::abs(x - y);
        if (!(error <= absolute + rounding(p.desc.out_dtype) * std::abs(y) + smallest_step(p.desc.out_dtype)))
          return fmt::format("token {} head {} dim {}: {} instead of {} (bound {:.3g})", t, h, d, x, y, absolute);
        squares += error * error, ++count;
      }
      if (!p.desc.lse) continue;
      const double x = p.lse(got, t, h), y = p.lse(expected, t, h);
      if (!(x == y || std::abs(x - y) <= score_error + 0x1p-20 * (1 + std::abs(y))))
        return fmt::format("token {} head {}: lse {} instead of {}", t, h, x, y);
    }
  const double rms = count > 0 ? std::sqrt(squares / count) : 0;
  if (rms > absolute / 3 + rounding(p.desc.out_dtype) * p.largest_value * unit) return fmt::format("rms error {:.3g}, bound {:.3g}", rms, absolute);
  return "";
}

std::string describe(const Problem& p) {
  std::string text = to_text(p.desc) + " (q_len, kv_len):";
  for (const auto& s : p.sequences) text += fmt::format(" ({}, {})", s.q_len, s.kv_len);
  return text;
}

}  // namespace attune
