// A case of rope_kv_write as tensors: the pages and slots of a kv_write, and rows of q, k and v before them. The reference runs on the same rows
// in double, once more without a rotation for the sizes that a pair's error depends on.
#include <algorithm>
#include <cmath>

#include "ops/attention_math.h"
#include "proof/problem.h"

namespace attune {
namespace {

constexpr double kUlp = 0x1.0p-23;

Case<KvWrite> pages_of(const Case<RopeKvWrite>& c) { return {.desc = c.desc.kv_write(), .rows = c.rows, .seed = c.seed}; }

double largest(DType t) { return t == DType::f8_e4m3 ? 448 : t == DType::f8_e4m3fnuz ? 240 : INFINITY; }

}  // namespace

Problem<RopeKvWrite>::Problem(const Case<RopeKvWrite>& c, const ProblemStyle& style) : case_(c), pages_(pages_of(c), style), memory(pages_.memory) {
  const RopeKvWriteDesc& d = case_.desc;
  const KvWriteParams& pages = pages_.params;
  Fill fill(c.seed ^ 0x3d1);
  params.tokens = c.rows;
  params.slot_mapping = pages.slot_mapping, params.num_blocks = pages.num_blocks;
  params.k_cache = pages.k_cache, params.v_cache = pages.v_cache, params.k_scale = pages.k_scale, params.v_scale = pages.v_scale;
  const int64_t q_width = d.num_q_heads() * d.head_dim, width = q_width + 2 * d.num_kv_heads * d.head_dim;
  params.x_stride = width + 8 * fill.below(3);
  params.q_stride = q_width + 4 * fill.below(3);
  void* x = memory.add("qkv", d.x_dtype, params.tokens > 0 ? (params.tokens - 1) * params.x_stride + width : 0);
  // Heads of very different size: a sum of squares must not be shared, nor eps forgotten; now and then a zero vector.
  for (int64_t t = 0; t < params.tokens; ++t)
    for (int64_t h = 0; h < width / d.head_dim; ++h)
      fill.values(x, d.x_dtype, t * params.x_stride + h * d.head_dim, d.head_dim, fill.one_in(12) ? 0 : fill.one_in(4) ? 0.01 : fill.between(0.5, 8));
  params.qkv = x;
  params.q = memory.add("q", d.out_dtype, params.tokens > 0 ? (params.tokens - 1) * params.q_stride + q_width : 0);
  for (int64_t t = 0; t < params.tokens; ++t) memory.may_write(params.q, t * params.q_stride, q_width);
  if (d.norm) params.q_weight = add_weight(fill, "q_weight"), params.k_weight = add_weight(fill, "k_weight");
  params.eps = fill.one_in(2) ? 1e-6f : 1e-2f;
  auto* positions = memory.add<int32_t>("positions", DType::i32, params.tokens);
  for (int64_t t = 0; t < params.tokens; ++t) positions[t] = static_cast<int32_t>(fill.one_in(2) ? fill.below(64) : fill.below(131072));
  params.positions = positions;
  auto* inv_freq = memory.add<float>("inv_freq", DType::f32, d.rotary_dim / 2);
  for (int64_t i = 0; i < d.rotary_dim / 2; ++i)
    inv_freq[i] = static_cast<float>(std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(d.rotary_dim)));
  params.inv_freq = inv_freq;
  params.attention_factor = fill.one_in(2) ? 1.0f : 1.3f;
}

const void* Problem<RopeKvWrite>::add_weight(Fill& fill, const char* name) {
  void* w = memory.add(name, case_.desc.w_dtype, case_.desc.head_dim);
  fill.values(w, case_.desc.w_dtype, 0, case_.desc.head_dim, 2);
  return w;
}

/// A head of q, then k, by the reference, in double.
std::vector<double> Problem<RopeKvWrite>::head_by_reference(int64_t token, int64_t head, bool rotate) const {
  const std::vector<float> still(static_cast<size_t>(case_.desc.rotary_dim / 2), 0.0f);
  std::vector<double> out(static_cast<size_t>(case_.desc.head_dim));
  RopeKvWriteParams p = params;
  if (!rotate) p.inv_freq = still.data(), p.attention_factor = 1;
  rotated_head(case_.desc, p, token, head, out);
  return out;
}

/// Errors of a head before it is stored: the norm's (as in norm), carried through the rotation, and the rotation's own (as in rope).
std::vector<ErrorBound> Problem<RopeKvWrite>::errors_of(const std::vector<double>& normed) const {
  const RopeKvWriteDesc& d = case_.desc;
  const double offset = d.unit_offset ? 1 + 2 * kUlp : 1, factor = params.attention_factor;
  const ErrorBound norm = d.norm ? ErrorBound{(gamma(static_cast<double>(d.head_dim)) / 2 + 6 * kUlp) * offset, 6 * kUlp} : ErrorBound{};
  const int64_t half = d.rotary_dim / 2;
  std::vector<ErrorBound> out;
  for (int64_t i = 0; i < d.head_dim; ++i) {
    double size = std::abs(normed[static_cast<size_t>(i)]);
    if (i >= d.rotary_dim) {
      out.push_back({norm.worst * size, norm.typical * size});
      continue;
    }
    size += std::abs(normed[static_cast<size_t>(d.style == RopeStyle::neox ? (i < half ? i + half : i - half) : i ^ 1)]);
    out.push_back({(norm.worst + 6 * kUlp) * size * factor, (norm.typical + 4 * kUlp) * size * factor});
  }
  return out;
}

void Problem<RopeKvWrite>::compare(std::string_view, int64_t, Comparison& out) const {
  const RopeKvWriteDesc& d = case_.desc;
  const int64_t heads = d.num_q_heads() + d.num_kv_heads;
  std::vector<double> value(static_cast<size_t>(d.head_dim));
  const std::vector<ErrorBound> exact(static_cast<size_t>(d.head_dim));
  for (int64_t t = 0; t < params.tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<double> want = head_by_reference(t, h, true);
      const std::vector<ErrorBound> errors = errors_of(head_by_reference(t, h, false));
      if (h < d.num_q_heads())
        compare_query(want, errors, t, h, out);
      else
        compare_page("k", want, errors, t, h - d.num_q_heads(), out);
    }
    for (int64_t h = 0; h < d.num_kv_heads; ++h) {
      const int64_t from = t * params.x_stride + (heads + h) * d.head_dim;
      for (int64_t i = 0; i < d.head_dim; ++i) value[static_cast<size_t>(i)] = load_as_float(params.qkv, d.x_dtype, from + i);
      compare_page("v", value, exact, t, h, out);
    }
  }
}

void Problem<RopeKvWrite>::compare_query(const std::vector<double>& want, const std::vector<ErrorBound>& errors, int64_t t, int64_t h,
                                         Comparison& out) const {
  const RopeKvWriteDesc& d = case_.desc;
  for (int64_t i = 0; i < d.head_dim; ++i)
    out.add(static_cast<double>(load_as_float(params.q, d.out_dtype, t * params.q_stride + h * d.head_dim + i)), want[static_cast<size_t>(i)],
            stored(errors[static_cast<size_t>(i)], d.out_dtype, want[static_cast<size_t>(i)]),
            [&] { return fmt::format("q of token {}, head {}, element {}", t, h, i); });
}

/// A stored vector: its own scale against the largest magnitude, its elements against the quotients by that scale.
void Problem<RopeKvWrite>::compare_page(const char* name, const std::vector<double>& vector, const std::vector<ErrorBound>& errors, int64_t t,
                                        int64_t h, Comparison& out) const {
  const RopeKvWriteDesc& d = case_.desc;
  const int64_t slot = params.slot_mapping[t];
  if (slot < 0) return;
  const bool is_k = *name == 'k';
  const float* scales = is_k ? params.k_scale : params.v_scale;
  const int64_t place = paged_scale_index(slot / d.block_size, h, slot % d.block_size, d.num_kv_heads, d.block_size);
  const double most = largest(d.kv_dtype), finite = std::isfinite(most) ? most : 448;
  double scale = 1;
  if (d.kv_scale == Scales::token_head) {
    double peak = 0, error = 0;
    for (int64_t i = 0; i < d.head_dim; ++i)
      peak = std::max(peak, std::abs(vector[static_cast<size_t>(i)])), error = std::max(error, errors[static_cast<size_t>(i)].worst);
    const double want = peak > 0 ? peak / finite : 1, bound = error / finite + kUlp * want;
    scale = scales[place];
    out.add(scale, want, {bound, bound}, [&] { return fmt::format("{} scale of token {}, head {}", name, t, h); });
  } else if (d.kv_scale != Scales::none) {
    scale = scales[d.kv_scale == Scales::head ? h : 0];
  }
  std::vector<double> got(static_cast<size_t>(d.head_dim));
  load_values(is_k ? params.k_cache : params.v_cache, d.kv_dtype, place * d.head_dim, d.head_dim, got.data());
  for (int64_t i = 0; i < d.head_dim; ++i) {
    const ErrorBound& error = errors[static_cast<size_t>(i)];
    const double want = std::clamp(vector[static_cast<size_t>(i)] / scale, -most, most),
                 quotient = d.kv_scale == Scales::none ? 0 : kUlp * std::abs(want);
    out.add(got[static_cast<size_t>(i)], want, stored({error.worst / scale + quotient, error.typical / scale + quotient}, d.kv_dtype, want),
            [&] { return fmt::format("{} of token {}, head {}, element {}", name, t, h, i); });
  }
}

}  // namespace attune
