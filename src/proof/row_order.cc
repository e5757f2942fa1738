// Equal bits alone and in a batch, of the ops that treat rows one by one.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "ops/attention_math.h"
#include "proof/order.h"
#include "proof/order_launch.h"

namespace attune {
namespace {

/// Which rows of a call stand alone: `slice`, where not −1, is the one row of a group (norm) or head (rope) that is kept of each.
struct Cut {
  int64_t first = 0, rows = 1, slice = -1;
};

/// Some rows of a call as a call of their own, which reads the whole call's tensors but writes to its own.
template <class Op>
class Apart {
 public:
  Apart(const Case<Op>& c, const Problem<Op>& whole, const Cut& cut) : desc_(c.desc), whole_(whole), params_(whole.params), cut_(cut) {
    take(params_);
  }

  /// True if a launch gives the bits that the whole call has.
  bool agrees(const Kernel<Op>& kernel, const LaunchSite& site, const Placed& tensors) {
    Placed own(own_, site);
    launch<Op>(kernel, desc_, params_, {.tokens = cut_.rows}, site, tensors, &own);
    own.fetch();
    return std::all_of(same_.begin(), same_.end(), [](const Same& s) { return std::memcmp(s.whole, s.part, s.bytes) == 0; });
  }

 private:
  struct Same {
    const void *whole, *part;
    size_t bytes;
  };

  void take(NormParams& p) {
    const bool one = cut_.slice >= 0;
    const int64_t offset = one ? cut_.slice * desc_.hidden : 0, width = (one ? 1 : p.rows) * desc_.hidden;
    const DType type = desc_.residual ? DType::f32 : desc_.out_dtype;
    p.groups = cut_.rows, p.rows = one ? 1 : p.rows;
    p.x = at(p.x, desc_.x_dtype, cut_.first * p.x_group_stride + offset);
    const void* result = desc_.residual ? static_cast<const void*>(whole_.params.residual) : whole_.params.out;
    void* out = strip("out", type, at(result, type, cut_.first * p.out_group_stride + offset), p.out_group_stride, width, desc_.residual);
    p.residual = desc_.residual ? static_cast<float*>(out) : nullptr;
    p.out = desc_.residual ? nullptr : out;
  }

  void take(RopeParams& p) {
    const bool one = cut_.slice >= 0;
    const int64_t offset = one ? cut_.slice * desc_.head_dim : 0, width = (one ? 1 : p.heads) * desc_.head_dim;
    const bool in_place = whole_.params.out == whole_.params.x;
    p.tokens = cut_.rows, p.heads = one ? 1 : p.heads, p.positions += cut_.first;
    const void* from = at(p.x, desc_.x_dtype, cut_.first * p.x_stride + offset);
    if (in_place) {
      p.x = p.out = strip("x", desc_.x_dtype, from, p.x_stride, width, true);
      return;
    }
    p.x = from;
    p.out = strip("out", desc_.out_dtype, at(p.out, desc_.out_dtype, cut_.first * p.out_stride + offset), p.out_stride, width, false);
  }

  void take(ActivationParams& p) {
    p.rows = cut_.rows;
    p.x = at(p.x, desc_.x_dtype, cut_.first * p.width * (desc_.gated ? 2 : 1));
    p.out = strip("out", desc_.out_dtype, at(p.out, desc_.out_dtype, cut_.first * p.width), p.width, p.width, false);
  }

  void take(EmbedParams& p) {
    p.tokens = cut_.rows, p.ids += cut_.first;
    p.out = strip("out", desc_.out_dtype, at(p.out, desc_.out_dtype, cut_.first * desc_.hidden), desc_.hidden, desc_.hidden, false);
  }

  void take(SampleParams& p) {
    p.rows = cut_.rows, p.row += cut_.first;
    p.logits = static_cast<float*>(strip("logits", DType::f32, p.logits + cut_.first * desc_.vocab, desc_.vocab, desc_.vocab, true));
    p.token = static_cast<int32_t*>(strip("token", DType::i32, p.token + cut_.first, 1, 1, false));
    if (p.logprob) p.logprob = static_cast<float*>(strip("logprob", DType::f32, p.logprob + cut_.first, 1, 1, false));
  }

  void take(KvWriteParams& p) {
    p.tokens = cut_.rows;
    p.k = at(p.k, desc_.x_dtype, cut_.first * p.x_stride);
    p.v = at(p.v, desc_.x_dtype, cut_.first * p.x_stride);
    take_pages(p);
  }

  void take(RopeKvWriteParams& p) {
    p.tokens = cut_.rows, p.positions += cut_.first;
    p.qkv = at(p.qkv, desc_.x_dtype, cut_.first * p.x_stride);
    p.q = strip("q", desc_.out_dtype, at(p.q, desc_.out_dtype, cut_.first * p.q_stride), p.q_stride, desc_.num_q_heads() * desc_.head_dim, false);
    take_pages(p);
  }

  /// Pages of the part's own, whose slots are taken from the last one backwards.
  template <class Params>
  void take_pages(Params& p) {
    const int64_t heads = desc_.num_kv_heads, bs = desc_.block_size, dim = desc_.head_dim, slots = (cut_.rows / bs + 1) * bs;
    const bool dynamic = desc_.kv_scale == Scales::token_head;
    const int64_t* from = p.slot_mapping + cut_.first;
    auto* mapping = own_.add<int64_t>("slot_mapping", DType::i64, cut_.rows);
    const Params whole = p;
    p.num_blocks = slots / bs, p.slot_mapping = mapping;
    p.k_cache = own_.add("k_cache", desc_.kv_dtype, slots * heads * dim, 128);
    p.v_cache = own_.add("v_cache", desc_.kv_dtype, slots * heads * dim, 128);
    if (dynamic) p.k_scale = own_.add<float>("k_scale", DType::f32, slots * heads), p.v_scale = own_.add<float>("v_scale", DType::f32, slots * heads);
    for (int64_t t = 0; t < cut_.rows; ++t) {
      mapping[t] = from[t] < 0 ? -1 : slots - 1 - t;
      if (from[t] < 0) continue;
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t there = paged_scale_index(from[t] / bs, h, from[t] % bs, heads, bs),
                      here = paged_scale_index(mapping[t] / bs, h, mapping[t] % bs, heads, bs);
        const size_t bytes = static_cast<size_t>(dim) * size_of(desc_.kv_dtype);
        same_.push_back({at(whole.k_cache, desc_.kv_dtype, there * dim), at(p.k_cache, desc_.kv_dtype, here * dim), bytes});
        same_.push_back({at(whole.v_cache, desc_.kv_dtype, there * dim), at(p.v_cache, desc_.kv_dtype, here * dim), bytes});
        if (dynamic) same_.push_back({whole.k_scale + there, p.k_scale + here, 4}), same_.push_back({whole.v_scale + there, p.v_scale + here, 4});
      }
    }
  }

  /// A tensor of the part's own for `width` elements of each row from `from` on: its bits must be those of the whole call. `filled`: it holds what
  /// stood there before the whole call was launched.
  void* strip(const char* name, DType type, const void* from, int64_t stride, int64_t width, bool filled) {
    const int64_t elements = (cut_.rows - 1) * stride + width;
    void* to = own_.add(name, type, elements);
    if (filled) std::memcpy(to, before(from), static_cast<size_t>(elements) * size_of(type));
    for (int64_t r = 0; r < cut_.rows; ++r)
      same_.push_back({at(from, type, r * stride), at(to, type, r * stride), static_cast<size_t>(width) * size_of(type)});
    return to;
  }

  /// What stood at an address when the tensors were frozen.
  const uint8_t* before(const void* address) const {
    const auto* byte = static_cast<const uint8_t*>(address);
    for (const auto& piece : whole_.memory.pieces())
      if (byte >= piece->buffer.data() && byte < piece->buffer.data() + piece->buffer.bytes())
        return piece->before.data() + (byte - piece->buffer.data());
    fail(ErrorCode::internal, "proof order", "a tensor of the case", "another address");
  }

  typename Op::Desc desc_;
  const Problem<Op>& whole_;
  typename Op::Params params_;
  Cut cut_;
  Memory own_{Guard::slack};
  std::vector<Same> same_;
};

int64_t slices_of(const NormParams& p) { return p.rows; }
int64_t slices_of(const RopeParams& p) { return p.heads; }
template <class Params>
int64_t slices_of(const Params&) {
  return 0;
}

template <class Op>
std::string check_rows(const Kernel<Op>& kernel, const Case<Op>& c, const LaunchSite& site) {
  Problem<Op> problem(c, {});
  problem.memory.freeze();
  Placed tensors(problem.memory, site);
  launch<Op>(kernel, c.desc, problem.params, problem.limits(), site, tensors);
  tensors.fetch();
  std::vector<Cut> cuts;
  if (c.rows == 0) return "";
  int64_t last = -1;
  for (const int64_t first : {int64_t{0}, c.rows / 2, c.rows - 1}) {
    if (first <= last) continue;
    last = first;
    for (int64_t rows = 1; rows <= 2 && first + rows <= c.rows; ++rows) cuts.push_back({first, rows, -1});
    const int64_t slices = slices_of(problem.params);
    for (const int64_t slice : {int64_t{0}, slices - 1})
      if (slices > 1) cuts.push_back({first, 1, slice});
  }
  for (const Cut& cut : cuts)
    if (!Apart<Op>(c, problem, cut).agrees(kernel, site, tensors))
      return fmt::format("rows {}..{}{} give other bits alone than in a call of {}", cut.first, cut.first + cut.rows - 1,
                         cut.slice < 0 ? "" : fmt::format(", part {} of each,", cut.slice), c.rows);
  return "";
}

}  // namespace

std::string check_order(const NormKernel& kernel, const Case<Norm>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const RopeKernel& kernel, const Case<Rope>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const ActivationKernel& kernel, const Case<ActivationOp>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const EmbedKernel& kernel, const Case<Embed>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const SampleKernel& kernel, const Case<Sample>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const KvWriteKernel& kernel, const Case<KvWrite>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }
std::string check_order(const RopeKvWriteKernel& kernel, const Case<RopeKvWrite>& c, const LaunchSite& site) { return check_rows(kernel, c, site); }

}  // namespace attune
