#include "proof/fill.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attune {
namespace {

/// Calls f(index, value) with the type's stored form behind it; keeps the switch over types out of the loops.
template <class F>
void with_type(DType t, F&& f) {
  switch (t) {
    case DType::f32: return f(float{}, [](float x) { return x; });
    case DType::f16: return f(f16_t{}, [](float x) { return to_f16(x); });
    case DType::bf16: return f(bf16_t{}, [](float x) { return to_bf16(x); });
    case DType::f8_e4m3: return f(f8_e4m3_t{}, [](float x) { return to_f8_e4m3(x); });
    case DType::f8_e4m3fnuz: return f(f8_e4m3fnuz_t{}, [](float x) { return to_f8_e4m3fnuz(x); });
    default: return;
  }
}

}  // namespace

uint64_t Fill::bits() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void Fill::values(void* data, DType t, int64_t first, int64_t count, double amplitude) {
  const float step = static_cast<float>(amplitude / 1048576);  // 21-bit draws, three of a word
  with_type(t, [&](auto element, auto store) {
    using T = decltype(element);
    T* out = static_cast<T*>(data) + first;
    for (int64_t i = 0; i < count;) {
      uint64_t word = bits();
      for (int part = 0; part < 3 && i < count; ++part, word >>= 21)
        out[i++] = store(static_cast<float>(static_cast<int32_t>(word & 0x1fffff) - 1048576) * step);
    }
  });
}

void Fill::normal(void* data, DType t, int64_t first, int64_t count, double limit) {
  with_type(t, [&](auto element, auto store) {
    using T = decltype(element);
    T* out = static_cast<T*>(data) + first;
    // Box and Muller, 1958: two uniform draws make two normal ones.
    for (int64_t i = 0; i < count; i += 2) {
      const double radius = std::sqrt(-2 * std::log(1 - between(0, 1))), angle = between(0, 2 * std::numbers::pi);
      out[i] = store(static_cast<float>(std::clamp(radius * std::cos(angle), -limit, limit)));
      if (i + 1 < count) out[i + 1] = store(static_cast<float>(std::clamp(radius * std::sin(angle), -limit, limit)));
    }
  });
}

void Fill::scales(float* data, int64_t count, double lo, double hi) {
  for (int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(between(lo, hi));
}

void load_values(const void* data, DType t, int64_t first, int64_t count, double* out) {
  with_type(t, [&](auto element, auto) {
    using T = decltype(element);
    const T* in = static_cast<const T*>(data) + first;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<double>(to_float(in[i]));
  });
}

}  // namespace attune
