#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace attune {

/// Element types of tensors. f8_e4m3 is OCP (NVIDIA, gfx950), f8_e4m3fnuz the FNUZ form of gfx94x.
enum class DType : uint8_t { f32, f16, bf16, f8_e4m3, f8_e4m3fnuz, f8_e5m2, i8, u8, i16, i32, i64, f64, boolean };

/// Bytes of one element.
constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16: return 2;
    default: return 1;
  }
}

/// The name used in desc text, catalogues and logs: "bf16", "f8_e4m3".
constexpr std::string_view to_text(DType t) {
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "f8_e4m3", "f8_e4m3fnuz", "f8_e5m2", "i8", "u8", "i16", "i32", "i64", "f64", "bool"};
  return kNames[static_cast<int>(t)];
}

/// Parses a name of to_text, or one of PyTorch's and vLLM's: float32, half, bfloat16, fp8, fp8_e4m3, …
std::optional<DType> parse_dtype(std::string_view name);

/// Storage of a 16-bit brain float, an IEEE half and an 8-bit float. Arithmetic is done in float.
struct bf16_t {
  uint16_t bits;
};
struct f16_t {
  uint16_t bits;
};
struct f8_e4m3_t {
  uint8_t bits;
};
struct f8_e4m3fnuz_t {
  uint8_t bits;
};

constexpr float to_float(float x) { return x; }

constexpr float to_float(bf16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

/// Round to nearest even; a NaN stays a (quiet) NaN.
constexpr bf16_t to_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

constexpr float to_float(f16_t x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t exponent = (x.bits >> 10) & 0x1fu;
  const uint32_t mantissa = x.bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  const float small = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small));
}

constexpr f16_t to_f16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (a >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // ≥ 65520 rounds to infinity
  if (a >= 0x38800000u) {
    const uint32_t rounded = a + 0xfffu + ((a >> 13) & 1u) - 0x38000000u;
    return {static_cast<uint16_t>(sign | (rounded >> 13))};
  }
  // Subnormal: adding 0.5 aligns the last bit of the sum with 2^-24 and lets the adder round to nearest even.
  const float aligned = std::bit_cast<float>(a) + 0.5f;
  return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000u))};
}

/// An 8-bit float with 4 exponent and 3 mantissa bits. OCP: bias 7, no infinity, NaN = 0x7f/0xff, largest 448.
/// FNUZ: bias 8, one zero, NaN = 0x80, largest 240.
template <int Bias, bool Fnuz>
constexpr float f8_to_float(uint8_t b) {
  if (Fnuz ? b == 0x80 : (b & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fc00000u);
  const uint32_t sign = static_cast<uint32_t>(b & 0x80) << 24;
  const uint32_t exponent = (b >> 3) & 0xf;
  const uint32_t mantissa = b & 7;
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 127u - Bias) << 23) | (mantissa << 20));
  const float unit = std::bit_cast<float>(static_cast<uint32_t>(127 - Bias + 1 - 3) << 23);  // 2^(1-bias-3)
  const float small = static_cast<float>(mantissa) * unit;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small));
}

/// Round to nearest even, saturating to the largest finite value (as KV caches and FP8 matmuls want); NaN stays NaN.
template <int Bias, bool Fnuz>
constexpr uint8_t float_to_f8(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint32_t a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return Fnuz ? 0x80 : 0x7f;
  constexpr uint32_t kMaxBits = Fnuz ? 0x43700000u : 0x43e00000u;  // 240, 448
  constexpr uint8_t kMaxCode = Fnuz ? 0x7f : 0x7e;
  constexpr uint32_t kMinNormal = static_cast<uint32_t>(127 + 1 - Bias) << 23;
  const uint8_t sign = static_cast<uint8_t>((u >> 24) & 0x80);
  if (a >= kMaxBits) return sign | kMaxCode;
  if (a >= kMinNormal) {
    const uint32_t rounded = a + 0x7ffffu + ((a >> 20) & 1u) - (static_cast<uint32_t>(127 - Bias) << 23);
    const uint32_t code = rounded >> 20;
    return sign | static_cast<uint8_t>(code > kMaxCode ? kMaxCode : code);
  }
  // Subnormal: a power of two whose last mantissa bit is the smallest f8 lets the adder round.
  constexpr uint32_t kAlign = static_cast<uint32_t>(127 + 1 - Bias - 3 + 23) << 23;
  const float sum = std::bit_cast<float>(a) + std::bit_cast<float>(kAlign);
  const uint8_t code = static_cast<uint8_t>(std::bit_cast<uint32_t>(sum) - kAlign);
  return Fnuz && code == 0 ? 0 : static_cast<uint8_t>(sign | code);
}

constexpr float to_float(f8_e4m3_t x) { return f8_to_float<7, false>(x.bits); }
constexpr float to_float(f8_e4m3fnuz_t x) { return f8_to_float<8, true>(x.bits); }
constexpr f8_e4m3_t to_f8_e4m3(float x) { return {float_to_f8<7, false>(x)}; }
constexpr f8_e4m3fnuz_t to_f8_e4m3fnuz(float x) { return {float_to_f8<8, true>(x)}; }

/// Element `i` of an array of `t`, as float; and the same stored with rounding. For references, fills and tests: slow.
float load_as_float(const void* data, DType t, int64_t i);
void store_from_float(void* data, DType t, int64_t i, float value);

}  // namespace attune
