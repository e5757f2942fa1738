#include "proof/plan.h"

#include <algorithm>
#include <set>

#include "proof/length_sets.h"
#include "proof/product.h"
#include "proof/suites.h"
#include "select/select.h"

namespace attune {
namespace {

constexpr double kSlowest = 20e6;       // FLOP that a reference kernel is asked for
constexpr double kLargestOfAll = 4e10;  // FLOP of a case of attention with --all

/// Kernels made to be read, or to be wrong: they are asked for small problems only.
bool is_slow(const KernelInfo& kernel) { return kernel.tier == Tier::reference || kernel.backend() == "planted"; }

/// At most so many (0: all), spread evenly.
template <class Op>
std::vector<Case<Op>> spread(std::vector<Case<Op>> cases, int64_t most) {
  const auto kept = static_cast<size_t>(most);
  if (most == 0 || cases.size() <= kept) return cases;
  std::vector<Case<Op>> out;
  for (size_t i = 0; i < kept; ++i) out.push_back(std::move(cases[i * cases.size() / kept]));
  return out;
}

template <class Op>
bool has_lengths(const std::string& desc) {
  const std::string words = " " + desc;
  return words.find(" q_lens=") != std::string::npos || words.find(" kv_lens=") != std::string::npos || words.find(" m=") != std::string::npos ||
         words.find(std::is_same_v<Op, Matmul> ? " seed=" : " rows=") != std::string::npos;
}

/// The case itself; or, where the text has no lengths, some.
template <class Op>
void add_desc(const VerifyOptions& o, const Kernel<Op>& kernel, std::vector<Planned<Op>>& plan) {
  constexpr int64_t kOfDesc = 8;
  const Case<Op> given = parse_case<Op>(o.desc);
  if (!admits(kernel, given.desc)) return;
  std::vector<Case<Op>> cases;
  const bool complete = has_lengths<Op>(o.desc);
  if (complete) cases.push_back(given);
  for (int64_t i = 0; !complete && i < (o.samples > 0 ? o.samples : kOfDesc); ++i)
    cases.push_back(case_of<Op>(given.desc, o.seed * 1000 + static_cast<uint64_t>(i) + 1));
  for (const auto& c : cases) {
    plan.push_back({c, Guard::after, true, {}, {}});
    plan.push_back({c, Guard::before, false, {}, {}});
  }
}

template <class Op>
void add_seed_suite(const Kernel<Op>& kernel, std::vector<Planned<Op>>& plan) {
  if constexpr (std::is_same_v<Op, Attention>)
    for (const SuiteCase& s : seed_suite())
      if (kernel.info.tier != Tier::reference && admits(kernel, s.problem.desc))
        plan.push_back({s.problem, Guard::after, false, s.tolerance, s.name});
  (void)kernel, (void)plan;
}

/// Every covering desc at every length; of a bounded run so many cases, spread over them.
template <class Op>
void add_product(const VerifyOptions& o, const Kernel<Op>& kernel, const std::vector<Case<Op>>& covering, Plan<Op>& plan) {
  const double most = is_slow(kernel.info) ? kSlowest : kLargestOfAll;
  Product<Op> all = product_of(kernel, covering, o.seed, most);
  PlannedWork& work = plan.work;
  work.descs = all.descs, work.lengths = all.lengths, work.product = static_cast<int64_t>(all.cases.size()), work.too_large = all.too_large;
  std::vector<Case<Op>> cases = spread<Op>(std::move(all.cases), o.samples);
  work.left_out = work.product - static_cast<int64_t>(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const bool order = !is_slow(kernel.info) && flops_of(cases[i]) <= (std::is_same_v<Op, Attention> ? kWholeReferenceOfAll : kWholeReference);
    plan.problems.push_back({std::move(cases[i]), i % 2 == 0 ? Guard::after : Guard::before, order, {}, {}});
  }
}

template <class Op>
void add_covering(const VerifyOptions& o, const Kernel<Op>& kernel, Plan<Op>& plan) {
  std::vector<Case<Op>> cases = covering_cases(kernel, o.seed, &plan.pairs);
  const int64_t usual = kUsualDraws * (o.all ? 10 : 1), drawn = o.samples > 0 && !o.all ? o.samples : usual;
  const std::vector<Case<Op>> covering = cases;
  for (int64_t i = 0; i < drawn; ++i)
    if (auto c = draw_case(kernel, o.seed, i)) cases.push_back(std::move(*c));
  for (Case<Op>& c : end_cases(kernel, o.seed)) cases.push_back(std::move(c));
  // Half of the cases have the forbidden page before their data; every third is also run in pieces (of a reference, which is slow, every 12th).
  const size_t pieces = is_slow(kernel.info) ? 12 : 3;
  for (size_t i = 0; i < cases.size(); ++i)
    plan.problems.push_back({std::move(cases[i]), i % 2 == 0 ? Guard::after : Guard::before, o.all || i % pieces == 0, {}, {}});
  if (o.all) add_product(o, kernel, covering, plan);
}

template <class Op>
void add_length_sets(const VerifyOptions& o, const Kernel<Op>& kernel, std::vector<Planned<Op>>& plan) {
  if constexpr (std::is_same_v<Op, Attention>) {
    const double most = is_slow(kernel.info) ? kSlowest : o.all ? kLargestOfAll : 2e8;
    for (auto& c : length_set_cases(kernel, o.seed, most, o.all ? 12 : 1, o.all)) {
      const bool order = !is_slow(kernel.info) && flops_of(c) <= (o.all ? kWholeReferenceOfAll : kWholeReference);
      plan.push_back({std::move(c), Guard::after, order, {}, {}});
    }
  } else if constexpr (std::is_same_v<Op, Matmul>) {
    for (auto& c : layer_cases(kernel, o.seed, is_slow(kernel.info) ? kSlowest : 1e11, o.all)) {
      const bool order = flops_of(c) <= kWholeReference;
      plan.push_back({std::move(c), Guard::after, order, {}, {}});
    }
  } else if constexpr (std::is_same_v<Op, KvWrite>) {
    for (auto& c : large_pool_cases(kernel, o.seed)) plan.push_back({std::move(c), Guard::after, false, {}, {}});
  }
  (void)o, (void)kernel, (void)plan;
}

}  // namespace

template <class Op>
Plan<Op> Planner<Op>::plan_of(const Kernel<Op>& kernel) const {
  Plan<Op> plan;
  plan.work.kernel = kernel.info.name;
  if (o_.fuzz_seconds > 0 || o_.suite == VerifySuite::laws) return plan;
  if (!o_.desc.empty()) {
    add_desc(o_, kernel, plan.problems);
  } else if (o_.suite == VerifySuite::seed) {
    add_seed_suite(kernel, plan.problems);
  } else {
    if (o_.suite == VerifySuite::everything) add_covering(o_, kernel, plan);
    add_length_sets(o_, kernel, plan.problems);
    if (is_slow(kernel.info)) std::erase_if(plan.problems, [](const auto& p) { return flops_of(p.problem) > kSlowest; });
  }
  int64_t i = 0;
  std::erase_if(plan.problems, [&](const auto&) { return i++ % o_.shard.of != o_.shard.index - 1; });
  plan.work.cases = static_cast<int64_t>(plan.problems.size());
  return plan;
}

template <class Op>
const std::vector<Case<Op>>& Planner<Op>::problems_of(const Kernel<Op>& kernel) const {
  const auto [found, is_new] = problems_.try_emplace(&kernel);
  if (is_new)
    for (auto& p : plan_of(kernel).problems) found->second.push_back(std::move(p.problem));
  return found->second;
}

template <class Op>
std::vector<std::pair<const Kernel<Op>*, const Kernel<Op>*>> Planner<Op>::pairs_of(const std::vector<const Kernel<Op>*>& kernels) const {
  std::vector<std::pair<const Kernel<Op>*, const Kernel<Op>*>> out;
  if (o_.suite == VerifySuite::laws || o_.fuzz_seconds > 0) return out;
  for (size_t a = 0; a < kernels.size(); ++a)
    for (size_t b = a + 1; b < kernels.size(); ++b)
      if (kernels[a]->info.reduction == kernels[b]->info.reduction && is_ordered(kernels[a]->info)) out.emplace_back(kernels[a], kernels[b]);
  return out;
}

template <class Op>
std::vector<Case<Op>> Planner<Op>::common_cases(const Kernel<Op>& a, const Kernel<Op>& b) const {
  std::vector<Case<Op>> out;
  std::set<std::string> seen;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)})
    for (const Case<Op>& c : problems_of(*one))
      if (admits(*other, c.desc) && seen.insert(to_text(c)).second) out.push_back(c);
  constexpr uint64_t kDraws = 2000;
  const bool whole = o_.desc.empty() && o_.suite == VerifySuite::everything;
  for (uint64_t i = 0; whole && out.empty() && i < kDraws; ++i)
    if (auto c = random_case(a, o_.seed * kDraws + i); c && admits(b, c->desc)) out.push_back(std::move(*c));
  return o_.all ? spread<Op>(std::move(out), o_.samples) : out;
}

template class Planner<Attention>;
template class Planner<KvWrite>;
template class Planner<Matmul>;
template class Planner<Norm>;
template class Planner<Rope>;
template class Planner<RopeKvWrite>;
template class Planner<ActivationOp>;
template class Planner<Embed>;
template class Planner<Sample>;

}  // namespace attune
