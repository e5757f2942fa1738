#include "proof/product.h"

#include <algorithm>
#include <set>

#include "proof/field_corners.h"
#include "proof/length_sets.h"

namespace attune {
namespace {

/// Cases in the order in which they come, each once.
template <class Op>
class Builder {
 public:
  Builder(const Kernel<Op>& kernel, uint64_t seed, double most_flops) : kernel_(kernel), seed_(seed), most_flops_(most_flops) {}

  void add(Case<Op> c) {
    if (!is_valid<Op>(c.desc) || !is_affordable(c.desc) || !admits(kernel_, c.desc)) return;
    c.seed = 0;
    if (!seen_.insert(to_text(c)).second) return;
    if (flops_of(c) > most_flops_) return void(++out.too_large);
    c.seed = seed_ * 7919 + seen_.size();
    out.cases.push_back(std::move(c));
  }

  Product<Op> out;

 private:
  const Kernel<Op>& kernel_;
  uint64_t seed_;
  double most_flops_;
  std::set<std::string> seen_;
};

constexpr int64_t kRows[] = {1, 2, 3, 5, 8, 17, 33};

// Each adds a desc at every length that there is for its op, and says how many these are.

int64_t add_lengths(const AttentionKernel& kernel, Builder<Attention>& to, const AttentionDesc& desc, double most_flops) {
  for (const LengthSet& set : length_sets())
    if (auto c = case_at(kernel, set, desc, most_flops)) to.add(std::move(*c));
  return static_cast<int64_t>(length_sets().size());
}

int64_t add_lengths(const MatmulKernel&, Builder<Matmul>& to, const MatmulDesc& desc, double) {
  for (const int64_t rows : kRows)
    if (rows <= desc.rows) to.add({.desc = desc, .rows = rows});
  to.add({.desc = desc, .rows = std::min<int64_t>(desc.rows, 4096)});
  for (const Layer& layer : layers()) {
    Case<Matmul> c{.desc = desc, .rows = layer.m};
    c.desc.n = layer.n, c.desc.k = layer.k, c.desc.rows = layer.m;
    to.add(std::move(c));
  }
  return static_cast<int64_t>(std::size(kRows) + 1 + layers().size());
}

int64_t add_lengths(const KvWriteKernel&, Builder<KvWrite>& to, const KvWriteDesc& desc, double) {
  for (const int64_t rows : kRows) to.add({.desc = desc, .rows = rows});
  to.add({.desc = desc, .rows = 40, .pool = kLargePool});
  return static_cast<int64_t>(std::size(kRows) + 1);
}

template <class Op>
int64_t add_lengths(const Kernel<Op>&, Builder<Op>& to, const typename Op::Desc& desc, double) {
  int64_t lengths = 0;
  for (const int64_t rows : kRows)
    if (!std::is_same_v<Op, Sample> || rows <= 5) to.add({.desc = desc, .rows = rows}), ++lengths;
  if (const int64_t many = many_rows(desc); many > 0) to.add({.desc = desc, .rows = many}), ++lengths;
  return lengths;
}

}  // namespace

template <class Op>
Product<Op> product_of(const Kernel<Op>& kernel, const std::vector<Case<Op>>& covering, uint64_t seed, double most_flops) {
  Builder<Op> builder(kernel, seed, most_flops);
  for (const Case<Op>& c : covering) builder.out.lengths = add_lengths(kernel, builder, c.desc, most_flops);
  builder.out.descs = static_cast<int64_t>(covering.size());
  return std::move(builder.out);
}

template Product<Attention> product_of(const Kernel<Attention>&, const std::vector<Case<Attention>>&, uint64_t, double);
template Product<KvWrite> product_of(const Kernel<KvWrite>&, const std::vector<Case<KvWrite>>&, uint64_t, double);
template Product<Matmul> product_of(const Kernel<Matmul>&, const std::vector<Case<Matmul>>&, uint64_t, double);
template Product<Norm> product_of(const Kernel<Norm>&, const std::vector<Case<Norm>>&, uint64_t, double);
template Product<Rope> product_of(const Kernel<Rope>&, const std::vector<Case<Rope>>&, uint64_t, double);
template Product<RopeKvWrite> product_of(const Kernel<RopeKvWrite>&, const std::vector<Case<RopeKvWrite>>&, uint64_t, double);
template Product<ActivationOp> product_of(const Kernel<ActivationOp>&, const std::vector<Case<ActivationOp>>&, uint64_t, double);
template Product<Embed> product_of(const Kernel<Embed>&, const std::vector<Case<Embed>>&, uint64_t, double);
template Product<Sample> product_of(const Kernel<Sample>&, const std::vector<Case<Sample>>&, uint64_t, double);

}  // namespace attune
