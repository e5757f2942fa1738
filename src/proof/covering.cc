#include "proof/covering.h"

#include <numeric>
#include <optional>

#include "proof/field_corners.h"
#include "proof/fill.h"

namespace attune {
namespace {

/// A row of a covering array: the index of each field's corner; −1 for a value that is none.
using Row = std::vector<int>;

struct Pair {
  size_t f, g;  // fields, f < g
  int a, b;     // their corners
};

/// Which pairs of corners are still open.
class Pairs {
 public:
  explicit Pairs(std::vector<int> sizes) : sizes_(std::move(sizes)), first_(sizes_.size()) {
    size_t bits = 0;
    for (size_t f = 0; f < sizes_.size(); ++f)
      for (size_t g = f + 1; g < sizes_.size(); ++g) {
        first_[f].push_back(bits);
        bits += static_cast<size_t>(sizes_[f] * sizes_[g]);
      }
    open_.assign(bits, 1);
  }

  size_t fields() const { return sizes_.size(); }
  int size(size_t field) const { return sizes_[field]; }
  int64_t total() const { return static_cast<int64_t>(open_.size()); }
  bool is_open(size_t f, int a, size_t g, int b) const { return a >= 0 && b >= 0 && open_[at(f, a, g, b)] != 0; }
  void close(const Pair& p) { open_[at(p.f, p.a, p.g, p.b)] = 0; }

  /// Closes the row's pairs; their number.
  int64_t cover(const Row& row) {
    int64_t closed = 0;
    for (size_t f = 0; f < row.size(); ++f)
      for (size_t g = f + 1; g < row.size(); ++g)
        if (is_open(f, row[f], g, row[g])) ++closed, close({f, g, row[f], row[g]});
    return closed;
  }

  int64_t gain(const Row& row) const {
    int64_t open = 0;
    for (size_t f = 0; f < row.size(); ++f)
      for (size_t g = f + 1; g < row.size(); ++g) open += is_open(f, row[f], g, row[g]);
    return open;
  }

  /// Calls f(pair) for each pair that is open when its turn comes.
  template <class F>
  void for_each_open(F&& f) const {
    for (size_t i = 0; i < sizes_.size(); ++i)
      for (size_t j = i + 1; j < sizes_.size(); ++j)
        for (int a = 0; a < sizes_[i]; ++a)
          for (int b = 0; b < sizes_[j]; ++b)
            if (is_open(i, a, j, b)) f(Pair{i, j, a, b});
  }

 private:
  size_t at(size_t f, int a, size_t g, int b) const {
    if (f > g) return at(g, b, f, a);
    return first_[f][g - f - 1] + static_cast<size_t>(a * sizes_[g] + b);
  }

  std::vector<int> sizes_;
  std::vector<std::vector<size_t>> first_;
  std::vector<uint8_t> open_;
};

/// Grows the array row by row: each starts from an open pair and takes, field by field in random order, the corner that closes most pairs.
template <class Op>
class Cover {
 public:
  using Desc = typename Op::Desc;

  Cover(const Kernel<Op>& kernel, uint64_t seed) : kernel_(kernel), fill_(seed ^ 0xc0fe), pairs_(sizes(kernel)) {}

  std::vector<Desc> run(PairCoverage& coverage) {
    std::vector<Desc> out;
    int64_t impossible = 0;
    pairs_.for_each_open([&](const Pair& p) {
      const auto found = best_with(p);
      if (!found) {
        pairs_.close(p), ++impossible;
        return;
      }
      rows_.push_back(found->row);
      coverage.covered += pairs_.cover(found->row);
      out.push_back(found->desc);
    });
    coverage.possible = pairs_.total() - impossible;
    return out;
  }

 private:
  struct Found {
    Desc desc;
    Row row;
    int64_t gain;
  };

  static std::vector<int> sizes(const Kernel<Op>& kernel) {
    std::vector<int> out;
    const Desc desc{}, defaults{};
    Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, const auto&, const auto& fallback, const auto& domain) {
      out.push_back(static_cast<int>(field_corners<Op>(name, can, domain, fallback).size()));
    });
    return out;
  }

  std::optional<Found> best_with(const Pair& p) {
    constexpr int kGreedy = 6, kTries = 40;
    std::optional<Found> best;
    for (int i = 0; i < kTries && (i < kGreedy || !best); ++i) {
      const Row wish = i < kGreedy ? greedy(p) : neighbour(p);
      Desc desc = desc_of(wish);
      repair(desc);
      const Row row = row_of(desc);
      if (row[p.f] != p.a || row[p.g] != p.b || !is_valid<Op>(desc) || !admits(kernel_, desc)) continue;
      const int64_t gain = pairs_.gain(row);
      if (!best || gain > best->gain) best = Found{desc, row, gain};
    }
    return best;
  }

  Row greedy(const Pair& p) {
    Row row(pairs_.fields(), -1);
    row[p.f] = p.a, row[p.g] = p.b;
    std::vector<size_t> order(row.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(fill_.below(static_cast<int64_t>(i)))]);
    for (const size_t f : order) {
      if (row[f] >= 0) continue;
      const int n = pairs_.size(f), shift = static_cast<int>(fill_.below(n));
      int64_t most = -1;
      for (int step = 0; step < n; ++step) {
        const int a = (step + shift) % n;
        int64_t open = 0;
        for (size_t g = 0; g < row.size(); ++g) open += g != f && pairs_.is_open(f, a, g, row[g]);
        if (open > most) most = open, row[f] = a;
      }
    }
    return row;
  }

  /// A row that the kernel admits, or random corners, with the pair put in: finds pairs that need company of a certain kind.
  Row neighbour(const Pair& p) {
    Row row(pairs_.fields());
    if (!rows_.empty() && !fill_.one_in(3)) row = rows_[static_cast<size_t>(fill_.below(static_cast<int64_t>(rows_.size())))];
    for (size_t f = 0; f < row.size(); ++f)
      if (rows_.empty() || row[f] < 0 || fill_.one_in(3)) row[f] = static_cast<int>(fill_.below(pairs_.size(f)));
    row[p.f] = p.a, row[p.g] = p.b;
    return row;
  }

  Desc desc_of(const Row& row) const {
    Desc desc{};
    const Desc defaults{};
    size_t f = 0;
    Op::for_each_field(kernel_.can, desc, defaults, [&](FieldName name, const auto& can, auto& value, const auto& fallback, const auto& domain) {
      value = field_corners<Op>(name, can, domain, fallback)[static_cast<size_t>(row[f++])];
    });
    return desc;
  }

  Row row_of(const Desc& desc) const {
    Row row;
    const Desc defaults{};
    Op::for_each_field(kernel_.can, desc, defaults,
                       [&](FieldName name, const auto& can, const auto& value, const auto& fallback, const auto& domain) {
                         const auto all = field_corners<Op>(name, can, domain, fallback);
                         const auto at = std::find(all.begin(), all.end(), value);
                         row.push_back(at == all.end() ? -1 : static_cast<int>(at - all.begin()));
                       });
    return row;
  }

  const Kernel<Op>& kernel_;
  Fill fill_;
  Pairs pairs_;
  std::vector<Row> rows_;
};

}  // namespace

template <class Op>
std::vector<Case<Op>> covering_cases(const Kernel<Op>& kernel, uint64_t seed, PairCoverage* coverage) {
  PairCoverage own;
  const auto descs = Cover<Op>(kernel, seed).run(coverage ? *coverage : own);
  std::vector<Case<Op>> out;
  for (const auto& desc : descs) out.push_back(case_of<Op>(desc, seed * 1'000'003 + out.size() + 1));
  return out;
}

template std::vector<Case<Attention>> covering_cases(const Kernel<Attention>&, uint64_t, PairCoverage*);
template std::vector<Case<KvWrite>> covering_cases(const Kernel<KvWrite>&, uint64_t, PairCoverage*);
template std::vector<Case<Matmul>> covering_cases(const Kernel<Matmul>&, uint64_t, PairCoverage*);
template std::vector<Case<Norm>> covering_cases(const Kernel<Norm>&, uint64_t, PairCoverage*);
template std::vector<Case<Rope>> covering_cases(const Kernel<Rope>&, uint64_t, PairCoverage*);
template std::vector<Case<RopeKvWrite>> covering_cases(const Kernel<RopeKvWrite>&, uint64_t, PairCoverage*);
template std::vector<Case<ActivationOp>> covering_cases(const Kernel<ActivationOp>&, uint64_t, PairCoverage*);
template std::vector<Case<Embed>> covering_cases(const Kernel<Embed>&, uint64_t, PairCoverage*);
template std::vector<Case<Sample>> covering_cases(const Kernel<Sample>&, uint64_t, PairCoverage*);

}  // namespace attune
