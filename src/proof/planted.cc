#include "proof/planted.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "build_info.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "ops/attention_math.h"
#include "proof/attention_rows.h"

namespace attune {
namespace {

enum class Defect {
  none,
  mask_off_by_one,
  past_end,
  wrong_kv_head,
  sink_in_value,
  softcap_overflow,
  missing_rescale,
  scale_of_head_0,
  split_race,
  causal_under_none,
  lens_from_q,
  narrow_weights,
  order_of_workers
};

/// Plain attention with an online softmax in f32, one row and head at a time; `D` is what it does wrong.
template <Defect D>
class BrokenAttention {
 public:
  BrokenAttention(const AttentionDesc& d, const AttentionParams& p, ThreadPool& pool)
      : d_(d), p_(p), pool_(pool), acc_(static_cast<size_t>(d.head_dim)) {}

  void run() {
    for (int64_t seq = 0; seq < p_.num_seqs; ++seq)
      for (int64_t token = p_.q_start[seq]; token < p_.q_start[seq + 1]; ++token)
        for (int64_t head = 0; head < d_.num_q_heads(); ++head) row(seq, token, head);
  }

 private:
  static constexpr bool is(Defect which) { return D == which; }

  RowView view(int64_t seq, int64_t token) const {
    RowView r = AttentionRows::view(d_, p_, seq, token);
    if (is(Defect::mask_off_by_one) && r.causal) --r.position;
    if (is(Defect::past_end)) r.kv_len = (r.kv_len + d_.block_size - 1) / d_.block_size * d_.block_size, r.causal = false;
    if (is(Defect::causal_under_none) && d_.mask == Mask::none) r.causal = true;
    if (is(Defect::lens_from_q) && r.q_len > 1 && r.q_len < r.kv_len) r.position -= r.kv_len - r.q_len, r.kv_len = r.q_len;
    return r;
  }

  float capped(float s) const {
    if (d_.softcap <= 0) return s;
    const float cap = static_cast<float>(d_.softcap), x = s / cap;
    if (!is(Defect::softcap_overflow)) return cap * std::tanh(x);
    const float e = std::exp(2 * x);
    return cap * (e - 1) / (e + 1);
  }

  void find(int64_t seq, int64_t key, int64_t kv_head) {
    const int64_t scale_head = is(Defect::scale_of_head_0) ? 0 : kv_head;
    if (d_.kv_source == KvSource::ragged) {
      const int64_t token = p_.kv_start[seq] + key;
      element_ = token * p_.kv_stride + kv_head * d_.head_dim;
      scale_ = scale_index(d_.kv_scale, seq, token, scale_head, d_.num_kv_heads);
      return;
    }
    const int64_t block = p_.block_table[seq * p_.max_blocks + key / d_.block_size], offset = key % d_.block_size;
    element_ = hnd_offset(block, kv_head, offset, d_.num_kv_heads, d_.block_size, d_.head_dim);
    scale_ = d_.kv_scale == Scales::token_head ? paged_scale_index(block, scale_head, offset, d_.num_kv_heads, d_.block_size)
                                               : scale_index(d_.kv_scale, seq, 0, scale_head, d_.num_kv_heads);
  }

  float score(const RowView& r, int64_t token, int64_t head, int64_t key) const {
    float s = 0;
    for (int64_t i = 0; i < d_.head_dim; ++i)
      s += load_as_float(p_.q, d_.q_dtype, token * p_.q_stride + head * d_.head_dim + i) * load_as_float(p_.k, d_.kv_dtype, element_ + i);
    if (d_.q_scale != Scales::none) s *= p_.q_scale[scale_index(d_.q_scale, seq_, token, head, d_.num_q_heads())];
    if (d_.kv_scale != Scales::none) s *= p_.k_scale[scale_];
    s = capped(s * p_.scale);
    return d_.alibi == Alibi::none ? s : s + alibi_bias(d_.alibi, p_.alibi_slopes[head], r.position, key, [](float x) { return std::sqrt(x); });
  }

  void add_key(float s, float& largest, float& sum) {
    if (s > largest) {
      const float shrink = std::exp(largest - s);
      sum *= shrink;
      if (!is(Defect::missing_rescale))
        for (float& a : acc_) a *= shrink;
      largest = s;
    }
    const float weight = std::exp(s - largest);
    sum += weight;
    add_value(is(Defect::narrow_weights) ? to_float(to_bf16(weight)) : weight);
  }

  void add_value(float weight) {
    if (d_.kv_scale != Scales::none) weight *= p_.v_scale[scale_];
    for (int64_t i = 0; i < d_.head_dim; ++i) acc_[static_cast<size_t>(i)] += weight * load_as_float(p_.v, d_.kv_dtype, element_ + i);
  }

  /// Two halves of the keys on two workers, each added to the row's result by a read and a later write that nothing holds together: where both
  /// read before either writes, one half is lost. (The words are atomic, the update is not.)
  void race_splits(const RowView& r, int64_t token, int64_t head, int64_t kv_head, KeySpan span, float& largest, float& sum) {
    std::atomic<float> shared_largest{largest}, shared_sum{sum};
    std::vector<std::atomic<float>> shared(acc_.size());
    std::atomic<int> readers{0};
    std::atomic<bool> waited{false};
    pool_.parallel_for(2, [&](int64_t half, int) {
      const int64_t middle = (span.first + span.last) / 2;
      BrokenAttention part(d_, p_, pool_);
      part.seq_ = seq_;
      float part_largest = -INFINITY, part_sum = 0;
      for (int64_t key = half == 0 ? span.first : middle; key < (half == 0 ? middle : span.last); ++key) {
        if (!visible(r, key)) continue;
        part.find(seq_, key, kv_head);
        part.add_key(part.score(r, token, head, key), part_largest, part_sum);
      }
      const float old_largest = shared_largest.load(), old_sum = shared_sum.load();
      std::vector<float> old(shared.begin(), shared.end());
      ++readers;
      const auto start = std::chrono::steady_clock::now();
      while (pool_.size() > 1 && readers < 2 && std::chrono::steady_clock::now() - start < patience_) std::this_thread::yield();
      if (readers < 2) waited = true;
      const float top = std::max(old_largest, part_largest);
      const float keep = old_largest == -INFINITY ? 0 : std::exp(old_largest - top),
                  add = part_largest == -INFINITY ? 0 : std::exp(part_largest - top);
      shared_largest = top, shared_sum = old_sum * keep + part_sum * add;
      for (size_t i = 0; i < old.size(); ++i) shared[i] = old[i] * keep + part.acc_[i] * add;
    });
    if (waited) patience_ /= 2;  // on a busy machine not every row can have its race
    largest = shared_largest, sum = shared_sum;
    std::copy(shared.begin(), shared.end(), acc_.begin());
  }

  void row(int64_t seq, int64_t token, int64_t head) {
    seq_ = seq;
    const RowView r = view(seq, token);
    const int64_t kv_head = is(Defect::wrong_kv_head) ? head % d_.num_kv_heads : head / d_.gqa_group;
    float largest = -INFINITY, sum = 0;
    if (d_.sinks) largest = p_.sinks[head], sum = 1;
    std::fill(acc_.begin(), acc_.end(), 0.0f);
    bool sink_added = false;
    const KeySpan span = key_span(r);
    const int64_t keys = span.last - span.first, turn = is(Defect::order_of_workers) ? keys / pool_.size() : 0;
    if (is(Defect::split_race)) {
      race_splits(r, token, head, kv_head, span, largest, sum);
    } else {
      for (int64_t i = 0; i < keys; ++i) {
        const int64_t key = span.first + (i + turn) % keys;
        if (!visible(r, key)) continue;
        find(seq, key, kv_head);
        if (is(Defect::sink_in_value) && d_.sinks && !sink_added) add_value(1), sink_added = true;
        add_key(score(r, token, head, key), largest, sum);
      }
    }
    const float divisor = (sum > 0 ? sum : 1) * (d_.out_scale ? p_.out_scale[0] : 1);
    for (int64_t i = 0; i < d_.head_dim; ++i)
      store_from_float(p_.out, d_.out_dtype, token * p_.out_stride + head * d_.head_dim + i, acc_[static_cast<size_t>(i)] / divisor);
    if (d_.lse) p_.lse[token * d_.num_q_heads() + head] = largest + std::log(sum);
  }

  const AttentionDesc& d_;
  const AttentionParams& p_;
  ThreadPool& pool_;
  std::chrono::steady_clock::duration patience_ = std::chrono::milliseconds(20);  ///< how long a worker leaves the other time to read, too
  std::vector<float> acc_;
  int64_t seq_ = 0, element_ = 0, scale_ = 0;
};

template <Defect D>
void launch(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  BrokenAttention<D>(d, p, *ctx.pool).run();
}

constexpr AttentionKernel attention_of(std::string_view name, AttentionKernel::Launch launch_of) {
  return {.info = {.name = name, .tier = Tier::specialized, .reduction = "planted.f32", .device = {.kind = DeviceKind::cpu}},
          .can = {.q_dtype = any,
                  .kv_dtype = any,
                  .out_dtype = any,
                  .num_kv_heads = any,
                  .gqa_group = any,
                  .head_dim = any,
                  .block_size = any,
                  .phase = any,
                  .kv_source = any,
                  .kv_layout = any,
                  .mask = any,
                  .ranges = flag,
                  .window = any,
                  .window_right = any,
                  .softcap = any,
                  .alibi = any,
                  .sinks = flag,
                  .q_scale = any,
                  .kv_scale = any,
                  .out_scale = flag,
                  .lse = flag},
          .launch = launch_of};
}

constexpr std::string_view kUsual = "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=causal";

constexpr Planted<Attention> kAttention[] = {
    {"mask_off_by_one", "a row does not see its own key", kUsual, false,
     attention_of("planted.attention.mask_off_by_one", launch<Defect::mask_off_by_one>)},
    {"past_end", "the last block is read past its end", kUsual, false, attention_of("planted.attention.past_end", launch<Defect::past_end>)},
    {"wrong_kv_head", "query heads are dealt to KV heads in turn", kUsual, false,
     attention_of("planted.attention.wrong_kv_head", launch<Defect::wrong_kv_head>)},
    {"sink_in_value", "the sink's weight multiplies a value", "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=causal sinks=yes", false,
     attention_of("planted.attention.sink_in_value", launch<Defect::sink_in_value>)},
    {"softcap_overflow", "the softcap's tanh is made of exponentials that overflow",
     "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=causal softcap=50", false,
     attention_of("planted.attention.softcap_overflow", launch<Defect::softcap_overflow>)},
    {"missing_rescale", "values are not rescaled when the maximum grows", kUsual, false,
     attention_of("planted.attention.missing_rescale", launch<Defect::missing_rescale>)},
    {"scale_of_head_0", "the scale of KV head 0 is used for all", "q=bf16 kv=f8_e4m3 heads=4:2 head_dim=64 block=16 mask=causal kv_scale=head", false,
     attention_of("planted.attention.scale_of_head_0", launch<Defect::scale_of_head_0>)},
    {"split_race", "partial results of splits are combined without a lock", kUsual, false,
     attention_of("planted.attention.split_race", launch<Defect::split_race>)},
    {"causal_under_none", "the causal mask is applied under mask=none", "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=none", true,
     attention_of("planted.attention.causal_under_none", launch<Defect::causal_under_none>)},
    {"lens_from_q", "KV lengths are taken from q_start", "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=none", true,
     attention_of("planted.attention.lens_from_q", launch<Defect::lens_from_q>)},
    {"narrow_weights", "softmax weights are rounded to bf16, which the tag does not declare",
     "q=bf16 kv=bf16 out=f32 heads=4:2 head_dim=64 block=16 mask=causal", false,
     attention_of("planted.attention.narrow_weights", launch<Defect::narrow_weights>)},
    {"order_of_workers", "the order of sums depends on the number of threads", "q=bf16 kv=bf16 out=f32 heads=4:2 head_dim=64 block=16 mask=causal",
     false, attention_of("planted.attention.order_of_workers", launch<Defect::order_of_workers>)},
};

/// The first portable kernel of a GPU that is built.
const AttentionKernel* attention_of_gpu() {
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.device.kind != DeviceKind::cpu && k->info.tier == Tier::portable && k->launch) return k;
  return nullptr;
}

/// That kernel as one that stands before the specialized ones, launched with other params.
template <auto Change>
AttentionKernel planted_on_gpu(std::string_view name) {
  const AttentionKernel* base = attention_of_gpu();
  AttentionKernel k = base ? *base : attention_of("", nullptr);
  k.info.name = name, k.info.tier = Tier::specialized, k.info.reduction = "planted.gpu";
  k.launch = [](const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
    AttentionParams changed = p;
    Change(changed);
    attention_of_gpu()->launch(ctx, d, changed);
  };
  if (!base) k.launch = nullptr, k.info.device.kind = DeviceKind::cuda;
  return k;
}

void scale_more(AttentionParams& p) { p.scale *= 1.25f; }
void read_from_nowhere(AttentionParams& p) { p.block_table = reinterpret_cast<const int32_t*>(uintptr_t{64}); }
void change_nothing(AttentionParams&) {}

const AttentionKernel* find_on_gpu(std::string_view name) {
  static const AttentionKernel kScale = planted_on_gpu<scale_more>("planted.attention.gpu_scale");
  static const AttentionKernel kNowhere = planted_on_gpu<read_from_nowhere>("planted.attention.gpu_nowhere");
  static const AttentionKernel kSlow = planted_on_gpu<change_nothing>("planted.attention.gpu_slow");
  for (const AttentionKernel* k : {&kScale, &kNowhere, &kSlow})
    if (k->info.name.ends_with("." + std::string(name))) return k;
  return nullptr;
}

constexpr AttentionKernel kUnplanted = attention_of("planted.attention.slow", launch<Defect::none>);

// ---- matmul: the reference on changed params -----------------------------------------------------------------------------------------------

/// The last elements of K are dropped where K is no multiple of 8.
void drop_k_tail(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  const int64_t kept = d.k / 8 * 8;
  std::vector<float> x(static_cast<size_t>(p.m * d.k));
  for (int64_t m = 0; m < p.m; ++m)
    for (int64_t k = 0; k < kept; ++k) x[static_cast<size_t>(m * d.k + k)] = load_as_float(p.x, d.x_dtype, m * p.x_stride + k);
  MatmulDesc wide = d;
  MatmulParams cut = p;
  wide.x_dtype = DType::f32, cut.x = x.data(), cut.x_stride = d.k;
  matmul_ref(ctx, wide, cut);
}

/// The rows of one segment serve for others.
void one_segment(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  MatmulParams wrong = p;
  // The longer of two segments lends its weights, so that no read leaves them.
  for (int64_t s = 1; s < d.segments; ++s) {
    auto& first = wrong.segments[0];
    auto& other = wrong.segments[s];
    (other.rows <= first.rows ? other.w : first.w) = other.rows <= first.rows ? first.w : other.w;
  }
  matmul_ref(ctx, d, wrong);
}

void lost_bias(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  MatmulDesc without = d;
  without.bias = false;
  matmul_ref(ctx, without, p);
}

/// The factors are activated in place of the gate.
void swapped_gate(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  MatmulParams wrong = p;
  for (auto& s : wrong.segments) std::swap(s.w, s.up), std::swap(s.bias, s.up_bias), std::swap(s.scale, s.up_scale);
  matmul_ref(ctx, d, d.gated ? wrong : p);
}

constexpr MatmulKernel matmul_of(std::string_view name, MatmulKernel::Launch launch_of) {
  return {.info = {.name = name, .tier = Tier::specialized, .reduction = "planted.f64", .device = {.kind = DeviceKind::cpu}},
          .can = {.x_dtype = any,
                  .w_dtype = any,
                  .out_dtype = any,
                  .n = any,
                  .k = any,
                  .rows = any,
                  .layout = any,
                  .segments = any,
                  .w_scale = any,
                  .x_scale = any,
                  .quantize = any,
                  .accumulate = any,
                  .bias = flag,
                  .activation = any,
                  .residual = flag,
                  .gated = flag},
          .launch = launch_of};
}

constexpr Planted<Matmul> kMatmul[] = {
    {"k_tail", "the last elements of K are dropped", "x=bf16 w=bf16 n=96 k=516 rows=17", false, matmul_of("planted.matmul.k_tail", drop_k_tail)},
    {"one_segment", "the weights of one segment serve for others", "x=bf16 w=bf16 n=96 k=256 rows=17 segments=3", false,
     matmul_of("planted.matmul.one_segment", one_segment)},
    {"lost_bias", "the bias is forgotten", "x=bf16 w=bf16 n=96 k=256 rows=17 bias=yes", false, matmul_of("planted.matmul.lost_bias", lost_bias)},
    {"swapped_gate", "the factors of a gated product are activated, not the gate", "x=bf16 w=bf16 n=96 k=256 rows=17 act=silu gated=yes", false,
     matmul_of("planted.matmul.swapped_gate", swapped_gate)},
};

// ---- the small ops -------------------------------------------------------------------------------------------------------------------------

/// A slot of −1 is written as slot 0.
void write_skipped(const ExecContext& ctx, const KvWriteDesc& d, const KvWriteParams& p) {
  std::vector<int64_t> slots(p.slot_mapping, p.slot_mapping + p.tokens);
  for (int64_t& slot : slots) slot = std::max<int64_t>(slot, 0);
  KvWriteParams wrong = p;
  wrong.slot_mapping = slots.data();
  kv_write_ref(ctx, d, wrong);
}

constexpr Planted<KvWrite> kKvWrite[] = {
    {"write_skipped",
     "a skipped token is written to slot 0",
     "x=f32 kv=bf16 kv_heads=2 head_dim=64 block=16",
     false,
     {.info = {.name = "planted.kv_write.write_skipped", .tier = Tier::specialized, .reduction = "exact", .device = {.kind = DeviceKind::cpu}},
      .can = {.x_dtype = any, .kv_dtype = any, .num_kv_heads = any, .head_dim = any, .block_size = any, .kv_layout = any, .kv_scale = any},
      .launch = write_skipped}},
};

void forget_eps(const ExecContext& ctx, const NormDesc& d, const NormParams& p) {
  NormParams wrong = p;
  wrong.eps = 0;
  norm_ref(ctx, d, wrong);
}

/// One group of rows more than there is.
void run_past_end(const ExecContext& ctx, const NormDesc& d, const NormParams& p) {
  NormParams wrong = p;
  ++wrong.groups;
  norm_ref(ctx, d, wrong);
}

constexpr NormKernel norm_of(std::string_view name, NormKernel::Launch launch_of) {
  return {.info = {.name = name, .tier = Tier::specialized, .reduction = "planted.f64", .device = {.kind = DeviceKind::cpu}},
          .can = {.x_dtype = any, .w_dtype = any, .out_dtype = any, .hidden = any, .unit_offset = flag, .residual = flag},
          .launch = launch_of};
}

constexpr Planted<Norm> kNorm[] = {
    {"no_eps", "eps is forgotten", "x=f32 w=bf16 hidden=64", false, norm_of("planted.norm.no_eps", forget_eps)},
    {"past_all_memory", "rows are read and written that do not exist", "x=f32 w=bf16 hidden=64", false,
     norm_of("planted.norm.past_all_memory", run_past_end), true},
};

void write_nowhere(const ExecContext& ctx, const EmbedDesc& d, const EmbedParams& p) {
  EmbedParams wrong = p;
  wrong.out = nullptr;
  embed_ref(ctx, d, wrong);
}

constexpr Planted<Embed> kEmbed[] = {
    {"write_nowhere",
     "rows are written to address 0",
     "w=bf16 hidden=64",
     false,
     {.info = {.name = "planted.embed.write_nowhere", .tier = Tier::specialized, .reduction = "exact", .device = {.kind = DeviceKind::cpu}},
      .can = {.w_dtype = any, .out_dtype = any, .hidden = any},
      .launch = write_nowhere},
     true},
};

}  // namespace

const AttentionKernel& unplanted_attention() { return kUnplanted; }

template <>
std::span<const Planted<Attention>> planted<Attention>() {
  return kAttention;
}
template <>
std::span<const Planted<Matmul>> planted<Matmul>() {
  return kMatmul;
}
template <>
std::span<const Planted<KvWrite>> planted<KvWrite>() {
  return kKvWrite;
}
template <>
std::span<const Planted<Norm>> planted<Norm>() {
  return kNorm;
}
template <>
std::span<const Planted<Rope>> planted<Rope>() {
  return {};
}
template <>
std::span<const Planted<RopeKvWrite>> planted<RopeKvWrite>() {
  return {};
}
template <>
std::span<const Planted<ActivationOp>> planted<ActivationOp>() {
  return {};
}
template <>
std::span<const Planted<Embed>> planted<Embed>() {
  return kEmbed;
}
template <>
std::span<const Planted<Sample>> planted<Sample>() {
  return {};
}

template <class Op>
const Kernel<Op>* find_planted(std::string_view name) {
  for (const auto& defect : planted<Op>())
    if (defect.name == name) return &defect.kernel;
  if constexpr (std::is_same_v<Op, Attention>) {
    if (name == "slow") return &kUnplanted;
    return find_on_gpu(name);
  }
  return nullptr;
}

void check_plant(std::string_view name) {
  std::string known;
  bool found = name.empty();
  for_each_op([&]<class Op>() {
    found = found || find_planted<Op>(name) != nullptr;
    for (const auto& defect : planted<Op>()) known += std::string(defect.name) + ", ";
  });
  if (!found) invalid("--plant", "one of " + known + "slow, gpu_scale, gpu_nowhere, gpu_slow", printable(name));
  if (!name.empty() && !build::kTestBuild) invalid("--plant", "a build with ATTUNE_TESTS", "another build");
}

void check_plant(std::string_view name, const DeviceProps& device) {
  check_plant(name);
  bool here = name.empty();
  for_each_op([&]<class Op>() {
    const Kernel<Op>* kernel = find_planted<Op>(name);
    here = here || (kernel && kernel->info.device.kind == device.kind);
  });
  if (!here) invalid("--plant", fmt::format("a planted kernel of {}", to_text(device.kind)), printable(name));
}

template const Kernel<Attention>* find_planted(std::string_view);
template const Kernel<KvWrite>* find_planted(std::string_view);
template const Kernel<Matmul>* find_planted(std::string_view);
template const Kernel<Norm>* find_planted(std::string_view);
template const Kernel<Rope>* find_planted(std::string_view);
template const Kernel<RopeKvWrite>* find_planted(std::string_view);
template const Kernel<ActivationOp>* find_planted(std::string_view);
template const Kernel<Embed>* find_planted(std::string_view);
template const Kernel<Sample>* find_planted(std::string_view);

}  // namespace attune
