#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/rng.h"

namespace attune {

/// What a capability says of one field. Left out, a field admits the desc's default alone; `any` is always written.
struct Any {};
inline constexpr Any any{};
inline constexpr Any flag{};  // for a yes/no field: both

template <class T>
struct OneOf {
  std::array<T, 12> values{};
  int count = 0;
};
template <class T>
constexpr OneOf<T> one_of(std::initializer_list<T> list) {
  OneOf<T> set;
  for (const T& x : list) set.values[static_cast<size_t>(set.count++)] = x;
  return set;
}

struct range {
  int64_t lo, hi;
};
struct multiple_of {
  int64_t step;
};

std::string value_text(int64_t v);
std::string value_text(double v);
std::string value_text(bool v);
template <class T>
requires std::is_enum_v<T> std::string value_text(T v) { return std::string(to_text(v)); }

enum class ConstraintKind : uint8_t { only_default, unlimited, listed, ranged, multiples };

/// A set of admitted values of a field of type T: an integer, a real, a bool or an enum with to_text().
template <class T>
class Constraint {
 public:
  constexpr Constraint() = default;
  constexpr Constraint(Any) : kind_(ConstraintKind::unlimited) {}
  template <class U>
  constexpr Constraint(OneOf<U> set) : kind_(ConstraintKind::listed), count_(set.count) {
    for (int i = 0; i < count_; ++i) values_[static_cast<size_t>(i)] = static_cast<T>(set.values[static_cast<size_t>(i)]);
  }
  constexpr Constraint(range r) requires std::is_arithmetic_v<T> : kind_(ConstraintKind::ranged), count_(2) {
    values_[0] = static_cast<T>(r.lo), values_[1] = static_cast<T>(r.hi);
  }
  constexpr Constraint(multiple_of m) requires std::is_same_v<T, int64_t> : kind_(ConstraintKind::multiples), count_(1) { values_[0] = m.step; }

  constexpr ConstraintKind kind() const { return kind_; }
  constexpr int count() const { return count_; }
  constexpr T value(int i) const { return values_[static_cast<size_t>(i)]; }

  /// `fallback` is the desc's default for this field.
  constexpr bool admits(T x, T fallback) const {
    switch (kind_) {
      case ConstraintKind::only_default: return x == fallback;
      case ConstraintKind::unlimited: return true;
      case ConstraintKind::listed:
        for (int i = 0; i < count_; ++i)
          if (values_[static_cast<size_t>(i)] == x) return true;
        return false;
      case ConstraintKind::ranged: return values_[0] <= x && x <= values_[1];
      case ConstraintKind::multiples:
        if constexpr (std::is_same_v<T, int64_t>) return x % values_[0] == 0;
        return false;
    }
    return false;
  }

  /// "any", "one of {64, 128}", "1..512", "a multiple of 16", "only none".
  std::string text(T fallback) const {
    switch (kind_) {
      case ConstraintKind::unlimited: return "any";
      case ConstraintKind::only_default: return "only " + value_text(fallback);
      case ConstraintKind::ranged: return value_text(values_[0]) + ".." + value_text(values_[1]);
      case ConstraintKind::multiples: return "a multiple of " + value_text(values_[0]);
      case ConstraintKind::listed: break;
    }
    std::string out = "one of {";
    for (int i = 0; i < count_; ++i) out += (i ? ", " : "") + value_text(values_[static_cast<size_t>(i)]);
    return out + "}";
  }

  /// The admitted value nearest to a refused `x`: what the hint of a reason offers. `x` itself if nothing is better.
  T nearest(T x, T fallback) const {
    if (kind_ == ConstraintKind::only_default) return fallback;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      if (kind_ == ConstraintKind::ranged) return x < values_[0] ? values_[0] : values_[1];
      if constexpr (std::is_same_v<T, int64_t>)
        if (kind_ == ConstraintKind::multiples) return (x / values_[0] + 1) * values_[0];
      T best = values_[0];
      for (int i = 1; i < count_; ++i) {
        const T candidate = values_[static_cast<size_t>(i)];
        const auto distance = [x](T v) { return v < x ? x - v : v - x; };
        if (distance(candidate) < distance(best)) best = candidate;
      }
      return count_ ? best : x;
    } else {
      return count_ ? values_[0] : x;
    }
  }

  /// A value this constraint admits, drawn by `rng`; `domain` holds the field's legal values (a one_of or a range).
  T inside(Rng& rng, const Constraint& domain, T fallback) const {
    for (int attempt = 0; attempt < 200; ++attempt) {
      const T x = kind_ == ConstraintKind::listed || kind_ == ConstraintKind::ranged ? draw(rng) : domain.draw(rng);
      if (admits(x, fallback)) return x;
    }
    return kind_ == ConstraintKind::multiples ? values_[0] : fallback;
  }

  /// Sets `x` to a legal value this constraint refuses; false if there is none.
  bool outside(Rng& rng, const Constraint& domain, T fallback, T& x) const {
    for (int attempt = 0; attempt < 200; ++attempt) {
      const T candidate = domain.draw(rng);
      if (!admits(candidate, fallback)) {
        x = candidate;
        return true;
      }
    }
    return false;
  }

 private:
  T draw(Rng& rng) const {
    if (kind_ == ConstraintKind::ranged) {
      if constexpr (std::is_same_v<T, int64_t>) return values_[0] + rng.below(values_[1] - values_[0] + 1);
      if constexpr (std::is_floating_point_v<T>) return values_[0] + (values_[1] - values_[0]) * static_cast<T>(rng.uniform01());
    }
    return count_ ? values_[static_cast<size_t>(rng.below(count_))] : T{};
  }

  ConstraintKind kind_ = ConstraintKind::only_default;
  std::array<T, 12> values_{};
  int count_ = 0;
};

/// A field's two names: in reasons and tables, and as the key of desc text.
struct FieldName {
  std::string_view field;
  std::string_view key;
  bool always = false;  ///< printed in desc text even at its default
};

}  // namespace attune
