#include "proof/cases.h"

#include <algorithm>

#include "core/error.h"
#include "proof/field_corners.h"
#include "proof/fill.h"
#include "select/desc_text.h"

namespace attune {
namespace {

uint64_t mix(uint64_t a, uint64_t b) { return Fill(a ^ (b * 0x9e3779b97f4a7c15u)).bits(); }

/// Lap `index / n` of a field shifts its order, so that fields meet in changing company.
template <class T>
T pick(const std::vector<T>& values, uint64_t seed, uint64_t field, int64_t index, bool random) {
  const int64_t n = static_cast<int64_t>(values.size());
  const uint64_t shift = mix(seed + field * 131, static_cast<uint64_t>(random ? index : index / n));
  const uint64_t at = random ? shift : shift + static_cast<uint64_t>(index % n);
  return values[static_cast<size_t>(at % static_cast<uint64_t>(n))];
}

/// Fields that say what most calls do not use: a window, a softcap, a bias, …
bool is_extra(FieldName name) {
  return !name.always && !name.key.empty() && name.field != "phase" && name.field != "kv_source" && name.field != "out_dtype" &&
         name.field != "segments";
}

/// Two of three cases mix the corners of all fields; the third leaves most extras at their defaults, as most calls do: a window of one key
/// would hide what happens to the others.
template <class Op>
std::optional<typename Op::Desc> draw_desc(const Kernel<Op>& kernel, uint64_t seed, int64_t index) {
  constexpr int kAttempts = 300;
  const bool usual = index % 3 == 2;
  const int64_t lap_index = usual ? index / 3 : index - index / 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    typename Op::Desc desc{};
    const typename Op::Desc defaults{};
    uint64_t field = 0;
    Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, auto& value, const auto& fallback, const auto& domain) {
      ++field;
      const uint64_t dice = mix(seed + field * 7, static_cast<uint64_t>(index));
      if (usual && is_extra(name) && dice % 3 != 0 && can.admits(fallback, fallback)) return;
      // The first attempts keep most corners, later ones draw more fields anew.
      const bool random = attempt > 0 && mix(seed + field, static_cast<uint64_t>(attempt)) % 8 < static_cast<uint64_t>(std::min(attempt, 8));
      const int64_t at = random ? index * kAttempts + attempt : lap_index;
      value = pick(field_corners<Op>(name, can, domain, fallback), seed + (usual ? 1 : 0), field, at, random);
    });
    repair(desc);
    if (is_valid<Op>(desc) && is_affordable(desc) && admits(kernel, desc)) return desc;
  }
  return std::nullopt;
}

/// The largest value of a field that is too large to meet every other field's corners.
struct End {
  std::string field;
  int64_t value;
};
template <class Op>
std::vector<End> ends_of(const Kernel<Op>& kernel) {
  std::vector<End> out;
  const typename Op::Desc desc{}, defaults{};
  Op::for_each_field(kernel.can, desc, defaults, [&]<class T>(FieldName name, const auto& can, const T&, const auto& fallback, const auto& domain) {
    if constexpr (std::is_same_v<T, int64_t>) {
      std::vector<T> beyond;
      field_corners<Op>(name, can, domain, fallback, &beyond);
      for (const T value : beyond) out.push_back({std::string(name.field), value});
    }
  });
  return out;
}

template <class Op>
int64_t value_of(const typename Op::Desc& desc, std::string_view field) {
  const typename Op::Capability none{};
  const typename Op::Desc defaults{};
  int64_t found = 0;
  Op::for_each_field(none, desc, defaults, [&]<class T>(FieldName name, const auto&, const T& value, const T&, const auto&) {
    if constexpr (std::is_same_v<T, int64_t>)
      if (name.field == field) found = value;
  });
  return found;
}

/// A random admitted value of one field; sizes stay within the span of the sizes that are tested.
template <class Op, class T>
T random_value(FieldName name, const Constraint<T>& can, const Constraint<T>& domain, T fallback, Rng& rng) {
  const auto known = field_corners<Op>(name, can, domain, fallback);
  if constexpr (std::is_same_v<T, int64_t>) {
    constexpr int64_t kLargestDrawn = 4096;
    const auto [least, most] = std::minmax_element(known.begin(), known.end());
    int64_t x = *least + rng.below(std::max<int64_t>(std::min(*most, kLargestDrawn) - *least, 0) + 1);
    if (can.kind() == ConstraintKind::multiples) x -= x % can.value(0);
    if (rng.below(3) == 0 && can.admits(x, fallback) && domain.admits(x, fallback)) return x;
  }
  return known[static_cast<size_t>(rng.below(static_cast<int64_t>(known.size())))];
}

/// Lengths of a batch whose reference costs at most some million multiplications.
void draw_lengths(Case<Attention>& c, Fill& fill) {
  constexpr int64_t kKv[] = {0, 1, 5, 15, 16, 17, 33, 64, 127, 128, 129, 200, 255, 256, 257, 300, 511, 512, 513, 600, 1030};
  const AttentionDesc& d = c.desc;
  int64_t budget = 3'000'000;
  const int64_t sequences = 1 + fill.below(5);
  for (int64_t s = 0; s < sequences; ++s) {
    int64_t q = 1;
    if (d.phase == Phase::verify) q = fill.one_in(10) ? 0 : 2 + fill.below(31);
    if (d.phase == Phase::prefill) q = fill.one_in(10) ? 0 : fill.one_in(3) ? 1 + fill.below(4) : 1 + fill.below(70);
    const int64_t a_key = 2 * d.num_q_heads() * d.head_dim;
    while (q > 2 && q * 40 * a_key > budget) q = d.phase == Phase::verify ? std::max<int64_t>(2, q / 2) : q / 2;
    int64_t kv = kKv[fill.below(std::size(kKv))];
    // Mostly at least as many keys as queries; sometimes fewer, which is legal.
    if (kv < q && !fill.one_in(3)) kv = q + fill.below(20);
    while (kv > 16 && q * kv * a_key > budget) kv = kv * 2 / 3;
    budget -= q * kv * a_key;
    c.q_lens.push_back(q);
    c.kv_lens.push_back(kv);
    if (budget <= 0) break;
  }
}

template <class Op>
void draw_lengths(Case<Op>& c, Fill& fill) {
  constexpr int64_t kRows[] = {1, 2, 3, 5, 8, 17, 33};
  c.rows = kRows[fill.below(std::size(kRows))];
  if constexpr (std::is_same_v<Op, Matmul>) {
    const int64_t most = std::max<int64_t>(1, std::min(c.desc.rows, 4'000'000 / (c.desc.n * c.desc.k)));
    c.rows = fill.one_in(2) ? most : 1 + fill.below(most);
  }
  if constexpr (std::is_same_v<Op, Sample>) c.rows = std::min<int64_t>(c.rows, 5);
  if (const int64_t many = many_rows(c.desc); many > 0 && fill.one_in(6)) c.rows = many;
}

int64_t rows_of_elements(int64_t width) { return std::clamp<int64_t>(1'200'000 / width, 1, 3000); }

}  // namespace

int64_t many_rows(const NormDesc& d) { return rows_of_elements(d.hidden); }
int64_t many_rows(const RopeKvWriteDesc& d) { return rows_of_elements((d.num_q_heads() + 2 * d.num_kv_heads) * d.head_dim); }

template <class Op>
bool admits(const Kernel<Op>& kernel, const typename Op::Desc& desc) {
  const typename Op::Desc defaults{};
  bool all = true;
  Op::for_each_field(kernel.can, desc, defaults, [&](FieldName, const auto& can, const auto& value, const auto& fallback, const auto&) {
    all = all && can.admits(value, fallback);
  });
  for (const auto& rule : kernel.rules) all = all && rule.admits(desc);
  return all;
}

template <class Op>
std::optional<Case<Op>> draw_case(const Kernel<Op>& kernel, uint64_t seed, int64_t index) {
  const auto desc = draw_desc(kernel, seed, index);
  if (!desc) return std::nullopt;
  return case_of<Op>(*desc, seed * 1000 + static_cast<uint64_t>(index) + 1);
}

template <class Op>
Case<Op> case_of(const typename Op::Desc& desc, uint64_t seed) {
  Case<Op> c;
  c.desc = desc;
  c.seed = seed;
  Fill fill(seed);
  draw_lengths(c, fill);
  return c;
}

template <class Op>
double flops_of(const Case<Op>& c) {
  double flops = 0;
  if constexpr (std::is_same_v<Op, Attention>)
    for (size_t s = 0; s < c.q_lens.size(); ++s)
      flops += 4.0 * static_cast<double>(c.q_lens[s] * c.kv_lens[s]) * static_cast<double>(c.desc.num_q_heads() * c.desc.head_dim);
  if constexpr (std::is_same_v<Op, Matmul>)
    flops = (c.desc.gated ? 4.0 : 2.0) * static_cast<double>(c.rows) * static_cast<double>(c.desc.n) * static_cast<double>(c.desc.k);
  return flops;
}

template <class Op>
std::optional<Case<Op>> random_case(const Kernel<Op>& kernel, uint64_t seed) {
  constexpr int kAttempts = 400;
  Rng rng(seed);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    typename Op::Desc desc{};
    const typename Op::Desc defaults{};
    const bool usual = rng.below(2) == 0;
    Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, auto& value, const auto& fallback, const auto& domain) {
      if (usual && is_extra(name) && rng.below(3) != 0 && can.admits(fallback, fallback)) return;
      value = random_value<Op>(name, can, domain, fallback, rng);
    });
    repair(desc);
    if (is_valid<Op>(desc) && is_affordable(desc) && admits(kernel, desc)) return case_of<Op>(desc, seed);
  }
  return std::nullopt;
}

template <class Op>
std::vector<std::string> declared_corners(const Kernel<Op>& kernel) {
  std::vector<std::string> out;
  const typename Op::Desc desc{}, defaults{};
  Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, const auto&, const auto& fallback, const auto& domain) {
    for (const auto value : field_corners<Op>(name, can, domain, fallback)) out.push_back(std::string(name.field) + "=" + value_text(value));
  });
  for (const End& end : ends_of(kernel)) out.push_back(end.field + "=" + std::to_string(end.value));
  return out;
}

template <class Op>
std::vector<Case<Op>> end_cases(const Kernel<Op>& kernel, uint64_t seed) {
  std::vector<Case<Op>> out;
  const typename Op::Desc defaults{};
  const std::vector<End> ends = ends_of(kernel);
  for (size_t i = 0; i < ends.size(); ++i) {
    constexpr int64_t kAttempts = 300;
    for (int64_t attempt = 0; attempt < kAttempts; ++attempt) {
      auto desc = draw_desc(kernel, mix(seed, i), attempt);
      if (!desc) break;
      Op::for_each_field(kernel.can, *desc, defaults, [&]<class T>(FieldName name, const auto& can, T& value, const T& fallback, const auto& domain) {
        if constexpr (std::is_same_v<T, int64_t>) {
          const auto sizes = field_corners<Op>(name, can, domain, fallback);
          if (name.field == ends[i].field)
            value = ends[i].value;
          else if (!is_extra(name))
            value = *std::min_element(sizes.begin(), sizes.end());
        }
      });
      repair(*desc);
      if (!is_valid<Op>(*desc) || !is_affordable(*desc) || !admits(kernel, *desc) || value_of<Op>(*desc, ends[i].field) != ends[i].value) continue;
      out.push_back(case_of<Op>(*desc, mix(seed, i + 1000) % 1'000'000 + 1));
      break;
    }
  }
  return out;
}

template <class Op>
std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Op>& kernel) {
  std::vector<std::pair<std::string, std::string>> out;
  const typename Op::Desc desc{}, defaults{};
  Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, const auto&, const auto& fallback, const auto& domain) {
    out.emplace_back(name.field, declared_text(can, domain, fallback));
  });
  return out;
}

template <class Op>
std::vector<std::string> unexercised(const Kernel<Op>& kernel, const std::vector<Case<Op>>& cases) {
  std::vector<std::string> declared = declared_corners(kernel);
  const typename Op::Desc defaults{};
  for (const Case<Op>& c : cases)
    Op::for_each_field(kernel.can, c.desc, defaults, [&](FieldName name, const auto&, const auto& value, const auto&, const auto&) {
      std::erase(declared, std::string(name.field) + "=" + value_text(value));
    });
  return declared;
}

template <class Op>
std::vector<Outside<Op>> outside_descs(const Kernel<Op>& kernel, uint64_t seed) {
  std::vector<Outside<Op>> out;
  const auto inside = draw_desc(kernel, seed, 0);
  if (!inside) return out;
  Rng rng(seed);
  typename Op::Desc desc = *inside;
  const typename Op::Desc defaults{};
  Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, auto& value, const auto& fallback, const auto& domain) {
    const auto kept = value;
    if (can.outside(rng, domain, fallback, value)) out.push_back({std::string(name.field), desc});
    value = kept;
  });
  return out;
}

template bool admits(const Kernel<Attention>&, const Attention::Desc&);
template Case<Attention> case_of<Attention>(const Attention::Desc&, uint64_t);
template double flops_of(const Case<Attention>&);
template std::optional<Case<Attention>> draw_case(const Kernel<Attention>&, uint64_t, int64_t);
template std::optional<Case<Attention>> random_case(const Kernel<Attention>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Attention>&);
template std::vector<std::string> unexercised(const Kernel<Attention>&, const std::vector<Case<Attention>>&);
template std::vector<Case<Attention>> end_cases(const Kernel<Attention>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Attention>&);
template std::vector<Outside<Attention>> outside_descs(const Kernel<Attention>&, uint64_t);
template bool admits(const Kernel<KvWrite>&, const KvWrite::Desc&);
template Case<KvWrite> case_of<KvWrite>(const KvWrite::Desc&, uint64_t);
template double flops_of(const Case<KvWrite>&);
template std::optional<Case<KvWrite>> draw_case(const Kernel<KvWrite>&, uint64_t, int64_t);
template std::optional<Case<KvWrite>> random_case(const Kernel<KvWrite>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<KvWrite>&);
template std::vector<std::string> unexercised(const Kernel<KvWrite>&, const std::vector<Case<KvWrite>>&);
template std::vector<Case<KvWrite>> end_cases(const Kernel<KvWrite>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<KvWrite>&);
template std::vector<Outside<KvWrite>> outside_descs(const Kernel<KvWrite>&, uint64_t);
template bool admits(const Kernel<Matmul>&, const Matmul::Desc&);
template Case<Matmul> case_of<Matmul>(const Matmul::Desc&, uint64_t);
template double flops_of(const Case<Matmul>&);
template std::optional<Case<Matmul>> draw_case(const Kernel<Matmul>&, uint64_t, int64_t);
template std::optional<Case<Matmul>> random_case(const Kernel<Matmul>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Matmul>&);
template std::vector<std::string> unexercised(const Kernel<Matmul>&, const std::vector<Case<Matmul>>&);
template std::vector<Case<Matmul>> end_cases(const Kernel<Matmul>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Matmul>&);
template std::vector<Outside<Matmul>> outside_descs(const Kernel<Matmul>&, uint64_t);
template bool admits(const Kernel<Norm>&, const Norm::Desc&);
template Case<Norm> case_of<Norm>(const Norm::Desc&, uint64_t);
template double flops_of(const Case<Norm>&);
template std::optional<Case<Norm>> draw_case(const Kernel<Norm>&, uint64_t, int64_t);
template std::optional<Case<Norm>> random_case(const Kernel<Norm>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Norm>&);
template std::vector<std::string> unexercised(const Kernel<Norm>&, const std::vector<Case<Norm>>&);
template std::vector<Case<Norm>> end_cases(const Kernel<Norm>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Norm>&);
template std::vector<Outside<Norm>> outside_descs(const Kernel<Norm>&, uint64_t);
template bool admits(const Kernel<Rope>&, const Rope::Desc&);
template Case<Rope> case_of<Rope>(const Rope::Desc&, uint64_t);
template double flops_of(const Case<Rope>&);
template std::optional<Case<Rope>> draw_case(const Kernel<Rope>&, uint64_t, int64_t);
template std::optional<Case<Rope>> random_case(const Kernel<Rope>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Rope>&);
template std::vector<std::string> unexercised(const Kernel<Rope>&, const std::vector<Case<Rope>>&);
template std::vector<Case<Rope>> end_cases(const Kernel<Rope>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Rope>&);
template std::vector<Outside<Rope>> outside_descs(const Kernel<Rope>&, uint64_t);
template bool admits(const Kernel<RopeKvWrite>&, const RopeKvWrite::Desc&);
template Case<RopeKvWrite> case_of<RopeKvWrite>(const RopeKvWrite::Desc&, uint64_t);
template double flops_of(const Case<RopeKvWrite>&);
template std::optional<Case<RopeKvWrite>> draw_case(const Kernel<RopeKvWrite>&, uint64_t, int64_t);
template std::optional<Case<RopeKvWrite>> random_case(const Kernel<RopeKvWrite>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<RopeKvWrite>&);
template std::vector<std::string> unexercised(const Kernel<RopeKvWrite>&, const std::vector<Case<RopeKvWrite>>&);
template std::vector<Case<RopeKvWrite>> end_cases(const Kernel<RopeKvWrite>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<RopeKvWrite>&);
template std::vector<Outside<RopeKvWrite>> outside_descs(const Kernel<RopeKvWrite>&, uint64_t);
template bool admits(const Kernel<ActivationOp>&, const ActivationOp::Desc&);
template Case<ActivationOp> case_of<ActivationOp>(const ActivationOp::Desc&, uint64_t);
template double flops_of(const Case<ActivationOp>&);
template std::optional<Case<ActivationOp>> draw_case(const Kernel<ActivationOp>&, uint64_t, int64_t);
template std::optional<Case<ActivationOp>> random_case(const Kernel<ActivationOp>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<ActivationOp>&);
template std::vector<std::string> unexercised(const Kernel<ActivationOp>&, const std::vector<Case<ActivationOp>>&);
template std::vector<Case<ActivationOp>> end_cases(const Kernel<ActivationOp>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<ActivationOp>&);
template std::vector<Outside<ActivationOp>> outside_descs(const Kernel<ActivationOp>&, uint64_t);
template bool admits(const Kernel<Embed>&, const Embed::Desc&);
template Case<Embed> case_of<Embed>(const Embed::Desc&, uint64_t);
template double flops_of(const Case<Embed>&);
template std::optional<Case<Embed>> draw_case(const Kernel<Embed>&, uint64_t, int64_t);
template std::optional<Case<Embed>> random_case(const Kernel<Embed>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Embed>&);
template std::vector<std::string> unexercised(const Kernel<Embed>&, const std::vector<Case<Embed>>&);
template std::vector<Case<Embed>> end_cases(const Kernel<Embed>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Embed>&);
template std::vector<Outside<Embed>> outside_descs(const Kernel<Embed>&, uint64_t);
template bool admits(const Kernel<Sample>&, const Sample::Desc&);
template Case<Sample> case_of<Sample>(const Sample::Desc&, uint64_t);
template double flops_of(const Case<Sample>&);
template std::optional<Case<Sample>> draw_case(const Kernel<Sample>&, uint64_t, int64_t);
template std::optional<Case<Sample>> random_case(const Kernel<Sample>&, uint64_t);
template std::vector<std::string> declared_corners(const Kernel<Sample>&);
template std::vector<std::string> unexercised(const Kernel<Sample>&, const std::vector<Case<Sample>>&);
template std::vector<Case<Sample>> end_cases(const Kernel<Sample>&, uint64_t);
template std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Sample>&);
template std::vector<Outside<Sample>> outside_descs(const Kernel<Sample>&, uint64_t);

}  // namespace attune
