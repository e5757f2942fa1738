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

  Cover(const Kernel<Op>& kernel, uint64_t seed) : kernel_(kernel), fill_(seed ^ 0xc0fe), corners_(corners_of(kernel)), pairs_(sizes(corners_)) {}

  std::vector<Desc> run(PairCoverage& coverage) {
    std::vector<Desc> out;
    int64_t impossible = 0;
    pairs_.for_each_open([&](const Pair& p) {
      bool too_large = false;
      auto found = best_with(p);
      if (!found) found = any_with(p, too_large);
      if (!found) {
        pairs_.close(p), ++impossible;
        coverage.too_large += too_large;
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
  /// A value of a field of any type.
  struct Corner {
    int64_t integer = 0;
    double real = 0;
    template <class T>
    explicit Corner(T x) {
      if constexpr (std::is_same_v<T, double>)
        real = x;
      else
        integer = static_cast<int64_t>(x);
    }
    template <class T>
    T as() const {
      if constexpr (std::is_same_v<T, double>)
        return real;
      else
        return static_cast<T>(integer);
    }
    bool operator==(const Corner&) const = default;
  };
  using Corners = std::vector<std::vector<Corner>>;

  static Corners corners_of(const Kernel<Op>& kernel) {
    Corners out;
    const Desc desc{}, defaults{};
    Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& can, const auto&, const auto& fallback, const auto& domain) {
      out.emplace_back();
      for (const auto value : field_corners<Op>(name, can, domain, fallback)) out.back().emplace_back(value);
    });
    return out;
  }

  static std::vector<int> sizes(const Corners& corners) {
    std::vector<int> out;
    for (const auto& of_field : corners) out.push_back(static_cast<int>(of_field.size()));
    return out;
  }

  /// The row's desc, if the kernel admits it and it still holds the pair.
  std::optional<Found> judge(const Row& wish, const Pair& p, bool* too_large = nullptr) const {
    Desc desc = desc_of(wish);
    repair(desc);
    const Row row = row_of(desc);
    if (row[p.f] != p.a || row[p.g] != p.b || !is_valid<Op>(desc) || !admits(kernel_, desc)) return std::nullopt;
    if (!is_affordable(desc)) {
      if (too_large) *too_large = true;
      return std::nullopt;
    }
    return Found{desc, row, 0};
  }

  std::optional<Found> best_with(const Pair& p) {
    constexpr int kGreedy = 6, kTries = 40;
    std::optional<Found> best;
    for (int i = 0; i < kTries && (i < kGreedy || !best); ++i) {
      auto found = judge(i < kGreedy ? greedy(p) : neighbour(p), p);
      if (!found) continue;
      found->gain = pairs_.gain(found->row);
      if (!best || found->gain > best->gain) best = std::move(found);
    }
    return best;
  }

  /// The first admitted desc with the pair that differs from the defaults, or from the last admitted rows, in at most two fields more.
  std::optional<Found> any_with(const Pair& p, bool& too_large) {
    constexpr size_t kRows = 2;
    std::vector<Row> bases = {default_row()};
    for (size_t i = 0; i < kRows && i < rows_.size(); ++i) bases.push_back(rows_[rows_.size() - 1 - i]);
    std::optional<Found> found;
    for (Row& row : bases) {
      row[p.f] = p.a, row[p.g] = p.b;
      if ((found = judge(row, p, &too_large))) return found;
    }
    const auto fixed = [&](size_t field) { return field == p.f || field == p.g; };
    for (Row& row : bases)
      for (size_t f = 0; f < row.size(); ++f)
        for (int a = 0, kept = row[f]; !fixed(f) && a < pairs_.size(f); ++a, row[f] = kept) {
          row[f] = a;
          if ((found = judge(row, p, &too_large))) return found;
          for (size_t g = f + 1; g < row.size(); ++g)
            for (int b = 0, was = row[g]; !fixed(g) && b < pairs_.size(g); ++b, row[g] = was) {
              row[g] = b;
              if ((found = judge(row, p, &too_large))) return found;
            }
        }
    return std::nullopt;
  }

  /// The corner of each field that is the desc's default, or its first.
  Row default_row() const {
    Row row = row_of(Desc{});
    for (int& a : row) a = std::max(a, 0);
    return row;
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
    Op::for_each_field(kernel_.can, desc, defaults, [&]<class T>(FieldName, const auto&, T& value, const auto&, const auto&) {
      value = corners_[f][static_cast<size_t>(std::max(row[f], 0))].template as<T>();
      ++f;
    });
    return desc;
  }

  Row row_of(const Desc& desc) const {
    Row row;
    row.reserve(corners_.size());
    const Desc defaults{};
    Op::for_each_field(kernel_.can, desc, defaults, [&](FieldName, const auto&, const auto& value, const auto&, const auto&) {
      const auto& all = corners_[row.size()];
      const auto at = std::find(all.begin(), all.end(), Corner(value));
      row.push_back(at == all.end() ? -1 : static_cast<int>(at - all.begin()));
    });
    return row;
  }

  const Kernel<Op>& kernel_;
  Fill fill_;
  Corners corners_;
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
