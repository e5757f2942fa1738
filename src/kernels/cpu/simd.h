#pragma once

// The seam over the instruction sets: one vector of floats, its loads and stores for every storage type, masks, products of bf16 pairs.
// Each kernel source is compiled once per instruction set with ATTUNE_ISA naming it; everything lives in attune::cpu::<isa>.

#include <cstdint>

#include "core/dtype.h"
#include "core/thread_pool.h"
#include "device/exec_context.h"

#if defined(ATTUNE_ISA_avx2) || defined(ATTUNE_ISA_avx512) || defined(ATTUNE_ISA_avx512_bf16)
#include <immintrin.h>
#endif

namespace attune::cpu::ATTUNE_ISA {

#define ATTUNE_INLINE [[gnu::always_inline]] inline

// ---- scalars: the rounding of core/dtype.h, branch-free, so that loops over them vectorise and no symbol leaves this namespace ----

ATTUNE_INLINE uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
ATTUNE_INLINE float from_bits(uint32_t u) { return __builtin_bit_cast(float, u); }

ATTUNE_INLINE float load_one(const float* p) { return *p; }
ATTUNE_INLINE float load_one(const bf16_t* p) { return from_bits(static_cast<uint32_t>(p->bits) << 16); }
ATTUNE_INLINE float load_one(const f16_t* p) {
  const uint32_t h = p->bits, sign = (h & 0x8000u) << 16, magnitude = (h & 0x7fffu) << 13;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t small = bits_of(static_cast<float>(h & 0x3ffu) * 0x1p-24f);
  const uint32_t huge = magnitude | 0x7f800000u;
  return from_bits(sign | (magnitude >= (31u << 23) ? huge : magnitude < (1u << 23) ? small : normal));
}
ATTUNE_INLINE float load_f8(uint32_t b, float scale_up, bool is_nan) {  // read as the top of a half, whose exponent bias is 15
  const uint32_t magnitude = b & 0x7fu;
  const float small = static_cast<float>(magnitude & 7u) * 0x1p-17f;
  const float value = magnitude >= 8 ? from_bits((magnitude << 20) + (112u << 23)) : small;
  const uint32_t sign = (b & 0x80u) << 24;
  return is_nan ? from_bits(0x7fc00000u) : from_bits(bits_of(value * scale_up) | sign);
}
ATTUNE_INLINE float load_one(const f8_e4m3_t* p) { return load_f8(p->bits, 0x1p8f, (p->bits & 0x7f) == 0x7f); }
ATTUNE_INLINE float load_one(const f8_e4m3fnuz_t* p) { return load_f8(p->bits, 0x1p7f, p->bits == 0x80); }

ATTUNE_INLINE uint16_t bf16_bits(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, quiet = (u >> 16) | 0x40u;
  return static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}
ATTUNE_INLINE uint16_t f16_bits(float x) {
  const uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  const uint32_t normal = (a + 0xfffu + ((a >> 13) & 1u) - 0x38000000u) >> 13;
  const uint32_t small = bits_of(from_bits(a < 0x38800000u ? a : 0) + 0.5f) - 0x3f000000u;
  const uint32_t finite = a >= 0x38800000u ? normal : small;
  return static_cast<uint16_t>(sign | (a > 0x7f800000u ? 0x7e00u : a >= 0x477ff000u ? 0x7c00u : finite));
}
/// f8 with exponent bias 7 (OCP) or 8 (FNUZ): to nearest even, saturating, NaN stays NaN.
template <bool Fnuz>
ATTUNE_INLINE uint8_t f8_bits(float x) {
  constexpr uint32_t kBias = Fnuz ? 8 : 7, kMaxBits = Fnuz ? 0x43700000u : 0x43e00000u, kMaxCode = Fnuz ? 0x7f : 0x7e;
  constexpr uint32_t kMinNormal = (128 - kBias) << 23, kAlign = (127 + 1 - kBias - 3 + 23) << 23;
  const uint32_t u = bits_of(x), a = u & 0x7fffffffu, sign = (u >> 24) & 0x80u;
  const uint32_t normal = (a + 0x7ffffu + ((a >> 20) & 1u) - ((127 - kBias) << 23)) >> 20;
  const uint32_t small = bits_of(from_bits(a < kMinNormal ? a : 0) + from_bits(kAlign)) - kAlign;
  uint32_t code = a >= kMaxBits ? kMaxCode : a >= kMinNormal ? normal : small;
  code = code > kMaxCode ? kMaxCode : code;
  const uint32_t with_sign = Fnuz && code == 0 ? 0 : (code | sign);
  return static_cast<uint8_t>(a > 0x7f800000u ? (Fnuz ? 0x80u : 0x7fu) : with_sign);
}

ATTUNE_INLINE void store_one(float* p, float x) { *p = x; }
ATTUNE_INLINE void store_one(bf16_t* p, float x) { p->bits = bf16_bits(x); }
ATTUNE_INLINE void store_one(f16_t* p, float x) { p->bits = f16_bits(x); }
ATTUNE_INLINE void store_one(f8_e4m3_t* p, float x) { p->bits = f8_bits<false>(x); }
ATTUNE_INLINE void store_one(f8_e4m3fnuz_t* p, float x) { p->bits = f8_bits<true>(x); }

ATTUNE_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
ATTUNE_INLINE void prefetch_to_write(const void* p) { __builtin_prefetch(p, 1, 3); }

// ---- the vector: kWidth floats. fma(a, b, c) is a·b + c, fused wherever the instruction set has it ----

#if defined(ATTUNE_ISA_avx512) || defined(ATTUNE_ISA_avx512_bf16)

inline constexpr int kWidth = 16;
inline constexpr int kRegisters = 32;
inline constexpr bool kFused = true;
struct Vec {
  __m512 v;
};
struct Mask {
  __mmask16 m;
};

ATTUNE_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
ATTUNE_INLINE Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
ATTUNE_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
ATTUNE_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }  // b where either is NaN
ATTUNE_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
ATTUNE_INLINE Mask less(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
ATTUNE_INLINE Mask first(int n) { return {static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u)}; }
ATTUNE_INLINE Mask mask_of_bits(uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
ATTUNE_INLINE uint32_t bits_of_mask(Mask m) { return m.m; }
ATTUNE_INLINE Vec select(Mask m, Vec yes, Vec no) { return {_mm512_mask_blend_ps(m.m, no.v, yes.v)}; }
ATTUNE_INLINE Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/// a · 2^n for whole n in [−150, 128], rounded once.
ATTUNE_INLINE Vec scale_by_power(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }

ATTUNE_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
/// kWidth / 4 pieces of four floats.
ATTUNE_INLINE Vec load_fours(const float* const* from) {
  const __m512 low = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(from[0])), _mm_loadu_ps(from[1]), 1);
  return {_mm512_insertf32x4(_mm512_insertf32x4(low, _mm_loadu_ps(from[2]), 2), _mm_loadu_ps(from[3]), 3)};
}
ATTUNE_INLINE Vec widen_bf16(__m256i h) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))}; }
ATTUNE_INLINE Vec load(const bf16_t* p) { return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
ATTUNE_INLINE Vec load(const f16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
template <bool Fnuz>
ATTUNE_INLINE Vec widen_f8(__m128i b) {
  const __m256i w = _mm256_cvtepu8_epi16(b), low = _mm256_and_si256(w, _mm256_set1_epi16(0x7f));
  const __m256i half = _mm256_or_si256(_mm256_slli_epi16(low, 7), _mm256_slli_epi16(_mm256_andnot_si256(_mm256_set1_epi16(0x7f), w), 8));
  const __mmask16 nan = Fnuz ? _mm256_cmpeq_epi16_mask(w, _mm256_set1_epi16(0x80)) : _mm256_cmpeq_epi16_mask(low, _mm256_set1_epi16(0x7f));
  const __m512 value = _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(Fnuz ? 128.0f : 256.0f));
  return {_mm512_mask_mov_ps(value, nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)))};
}
ATTUNE_INLINE Vec load(const f8_e4m3_t* p) { return widen_f8<false>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
ATTUNE_INLINE Vec load(const f8_e4m3fnuz_t* p) { return widen_f8<true>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }

/// The first n elements (0 ≤ n ≤ kWidth), zeros behind them; memory behind them is not touched.
ATTUNE_INLINE Vec load_tail(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n).m, p)}; }
ATTUNE_INLINE Vec load_tail(const bf16_t* p, int n) { return widen_bf16(_mm256_maskz_loadu_epi16(first(n).m, p)); }
ATTUNE_INLINE Vec load_tail(const f16_t* p, int n) { return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n).m, p))}; }
ATTUNE_INLINE Vec load_tail(const f8_e4m3_t* p, int n) { return widen_f8<false>(_mm_maskz_loadu_epi8(first(n).m, p)); }
ATTUNE_INLINE Vec load_tail(const f8_e4m3fnuz_t* p, int n) { return widen_f8<true>(_mm_maskz_loadu_epi8(first(n).m, p)); }

ATTUNE_INLINE __m256i round_bf16(Vec a) {  // not VCVTNEPS2BF16: that one flushes subnormals
  const __m512i u = _mm512_castps_si512(a.v), high = _mm512_srli_epi32(u, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40)));
}
ATTUNE_INLINE __m256i round_f16(Vec a) { return _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
ATTUNE_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
ATTUNE_INLINE void store(bf16_t* p, Vec a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_bf16(a)); }
ATTUNE_INLINE void store(f16_t* p, Vec a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_f16(a)); }
ATTUNE_INLINE void store_tail(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, first(n).m, a.v); }
ATTUNE_INLINE void store_tail(bf16_t* p, Vec a, int n) { _mm256_mask_storeu_epi16(p, first(n).m, round_bf16(a)); }
ATTUNE_INLINE void store_tail(f16_t* p, Vec a, int n) { _mm256_mask_storeu_epi16(p, first(n).m, round_f16(a)); }

/// Steps of a horizontal fold of several vectors at once: lanes i and i + width/2 meet first, then i and i + width/4, and so on.
ATTUNE_INLINE Vec fold8(Vec a, Vec b) {  // a blend and one shuffle: b's halves meet in the other order, which gives the same sum
  return {_mm512_add_ps(_mm512_mask_blend_ps(0xff00, a.v, b.v), _mm512_shuffle_f32x4(a.v, b.v, 0x4e))};
}
ATTUNE_INLINE Vec fold4(Vec a, Vec b) { return {_mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x88), _mm512_shuffle_f32x4(a.v, b.v, 0xdd))}; }
ATTUNE_INLINE Vec fold2(Vec a, Vec b) {
  const __m512 crossed = _mm512_castpd_ps(_mm512_shuffle_pd(_mm512_castps_pd(a.v), _mm512_castps_pd(b.v), 0x55));
  return {_mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a.v, b.v), crossed)};
}
ATTUNE_INLINE Vec fold1(Vec a, Vec b) { return {_mm512_add_ps(_mm512_shuffle_ps(a.v, b.v, 0x88), _mm512_shuffle_ps(a.v, b.v, 0xdd))}; }
ATTUNE_INLINE float sum(Vec a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)), d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
ATTUNE_INLINE float max_of(Vec a) { return _mm512_reduce_max_ps(a.v); }
/// out[i] = sum(a[i]) for 16 vectors, the same bits as sum().
ATTUNE_INLINE void sums16(const Vec* a, float* out) {
  // Inputs four apart meet in one vector, so that the sums come out in order.
  Vec q[4];
  for (int i = 0; i < 4; ++i) q[i] = fold4(fold8(a[i], a[i + 4]), fold8(a[i + 8], a[i + 12]));
  store(out, fold1(fold2(q[0], q[1]), fold2(q[2], q[3])));
}
/// The same for 8 vectors.
ATTUNE_INLINE void sums8(const Vec* a, float* out) {
  const Vec x = fold4(fold8(a[0], a[2]), fold8(a[4], a[6])), y = fold4(fold8(a[1], a[3]), fold8(a[5], a[7]));
  const Vec z = fold2(x, y), w = fold1(z, z);  // each 128-bit lane of w holds two sums, twice
  const __m512i pick = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_permutexvar_ps(pick, w.v)));
}

/// Two bf16 a lane.
struct Pairs {
  __m512i v;
};
ATTUNE_INLINE Pairs load_pairs(const bf16_t* p) { return {_mm512_loadu_si512(p)}; }
ATTUNE_INLINE Pairs load_pairs_tail(const bf16_t* p, int n) { return {_mm512_maskz_loadu_epi16(n >= 32 ? ~0u : (1u << n) - 1u, p)}; }
#if defined(ATTUNE_ISA_avx512_bf16)
inline constexpr bool kNativePairs = true;
ATTUNE_INLINE Vec dot(Pairs a, Pairs b, Vec c) { return {_mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))}; }
#else
inline constexpr bool kNativePairs = false;
ATTUNE_INLINE Vec even(Pairs a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(a.v, 16))}; }
ATTUNE_INLINE Vec odd(Pairs a) { return {_mm512_castsi512_ps(_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))}; }
ATTUNE_INLINE Vec dot(Pairs a, Pairs b, Vec c) { return fma(odd(a), odd(b), fma(even(a), even(b), c)); }
#endif

#else  // width 8

inline constexpr int kWidth = 8;
inline constexpr int kRegisters = 16;
inline constexpr bool kNativePairs = false;

#if defined(ATTUNE_ISA_avx2)

inline constexpr bool kFused = true;

struct Vec {
  __m256 v;
};
struct Mask {
  __m256 m;
};
struct Pairs {
  __m256i v;
};

ATTUNE_INLINE Vec zero() { return {_mm256_setzero_ps()}; }
ATTUNE_INLINE Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
ATTUNE_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
ATTUNE_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
ATTUNE_INLINE Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
ATTUNE_INLINE Mask less(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
ATTUNE_INLINE Mask mask_of_bits(uint32_t bits) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane), lane))};
}
ATTUNE_INLINE Mask first(int n) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))}; }
ATTUNE_INLINE uint32_t bits_of_mask(Mask m) { return static_cast<uint32_t>(_mm256_movemask_ps(m.m)); }
ATTUNE_INLINE Vec select(Mask m, Vec yes, Vec no) { return {_mm256_blendv_ps(no.v, yes.v, m.m)}; }
ATTUNE_INLINE Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
ATTUNE_INLINE Vec scale_by_power(Vec a, Vec n) {  // in two factors: one power of two cannot span subnormals
  const __m256i whole = _mm256_cvtps_epi32(n.v), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
  const __m256i one = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i two = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, _mm256_castsi256_ps(one)), _mm256_castsi256_ps(two))};
}

ATTUNE_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
ATTUNE_INLINE Vec load(const bf16_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16))};
}
ATTUNE_INLINE Vec load(const f16_t* p) { return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
template <bool Fnuz>
ATTUNE_INLINE Vec widen_f8(const void* p) {
  const __m128i w = _mm_cvtepu8_epi16(_mm_loadl_epi64(static_cast<const __m128i*>(p))), low = _mm_and_si128(w, _mm_set1_epi16(0x7f));
  const __m128i half = _mm_or_si128(_mm_slli_epi16(low, 7), _mm_slli_epi16(_mm_andnot_si128(_mm_set1_epi16(0x7f), w), 8));
  const __m128i nan = Fnuz ? _mm_cmpeq_epi16(w, _mm_set1_epi16(0x80)) : _mm_cmpeq_epi16(low, _mm_set1_epi16(0x7f));
  const __m256 value = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(Fnuz ? 128.0f : 256.0f));
  return {_mm256_blendv_ps(value, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), _mm256_castsi256_ps(_mm256_cvtepi16_epi32(nan)))};
}
ATTUNE_INLINE Vec load(const f8_e4m3_t* p) { return widen_f8<false>(p); }
ATTUNE_INLINE Vec load(const f8_e4m3fnuz_t* p) { return widen_f8<true>(p); }

ATTUNE_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
ATTUNE_INLINE void store(bf16_t* p, Vec a) {
  const __m256i u = _mm256_castps_si256(a.v), high = _mm256_srli_epi32(u, 16), odd_bit = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd_bit, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i words = _mm256_blendv_epi8(rounded, quiet, nan);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
ATTUNE_INLINE void store(f16_t* p, Vec a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

ATTUNE_INLINE float sum(Vec a) {
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1)), d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
ATTUNE_INLINE float max_of(Vec a) {
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1)), d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}
ATTUNE_INLINE Vec fold4(Vec a, Vec b) { return {_mm256_add_ps(_mm256_permute2f128_ps(a.v, b.v, 0x20), _mm256_permute2f128_ps(a.v, b.v, 0x31))}; }
ATTUNE_INLINE Vec fold2(Vec a, Vec b) {
  const __m256d x = _mm256_castps_pd(a.v), y = _mm256_castps_pd(b.v);
  return {_mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)))};
}
ATTUNE_INLINE Vec fold1(Vec a, Vec b) { return {_mm256_add_ps(_mm256_shuffle_ps(a.v, b.v, 0x88), _mm256_shuffle_ps(a.v, b.v, 0xdd))}; }

ATTUNE_INLINE Pairs load_pairs(const bf16_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
ATTUNE_INLINE Vec even(Pairs a) { return {_mm256_castsi256_ps(_mm256_slli_epi32(a.v, 16))}; }
ATTUNE_INLINE Vec odd(Pairs a) { return {_mm256_castsi256_ps(_mm256_and_si256(a.v, _mm256_set1_epi32(static_cast<int>(0xffff0000u))))}; }

#else  // plain: two four-lane vectors of the compiler's own, which every target can lower

inline constexpr bool kFused = false;

typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));
struct Vec {
  Float4 lo, hi;
};
struct Mask {
  Int4 lo, hi;
};
struct Pairs {
  uint32_t v[8];
};

ATTUNE_INLINE Vec broadcast(float x) { return {Float4{x, x, x, x}, Float4{x, x, x, x}}; }
ATTUNE_INLINE Vec zero() { return broadcast(0); }
ATTUNE_INLINE Vec operator+(Vec a, Vec b) { return {a.lo + b.lo, a.hi + b.hi}; }
ATTUNE_INLINE Vec operator-(Vec a, Vec b) { return {a.lo - b.lo, a.hi - b.hi}; }
ATTUNE_INLINE Vec operator*(Vec a, Vec b) { return {a.lo * b.lo, a.hi * b.hi}; }
ATTUNE_INLINE Vec operator/(Vec a, Vec b) { return {a.lo / b.lo, a.hi / b.hi}; }
ATTUNE_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
ATTUNE_INLINE Mask less(Vec a, Vec b) { return {a.lo < b.lo, a.hi < b.hi}; }
ATTUNE_INLINE Float4 select4(Int4 m, Float4 yes, Float4 no) { return (Float4)((m & (Int4)yes) | (~m & (Int4)no)); }
ATTUNE_INLINE Vec select(Mask m, Vec yes, Vec no) { return {select4(m.lo, yes.lo, no.lo), select4(m.hi, yes.hi, no.hi)}; }
ATTUNE_INLINE Vec max(Vec a, Vec b) { return select(less(b, a), a, b); }
ATTUNE_INLINE Vec min(Vec a, Vec b) { return select(less(a, b), a, b); }
ATTUNE_INLINE Vec abs(Vec a) { return {(Float4)((Int4)a.lo & 0x7fffffff), (Float4)((Int4)a.hi & 0x7fffffff)}; }
ATTUNE_INLINE Mask mask_of_bits(uint32_t bits) {
  const int32_t b = static_cast<int32_t>(bits);
  return {(Int4{b, b, b, b} & Int4{1, 2, 4, 8}) != 0, (Int4{b, b, b, b} & Int4{16, 32, 64, 128}) != 0};
}
ATTUNE_INLINE Mask first(int n) { return mask_of_bits(n >= 8 ? 0xffu : (1u << n) - 1u); }
ATTUNE_INLINE uint32_t bits_of_mask(Mask m) {
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= (m.lo[i] & 1u) << i | (m.hi[i] & 1u) << (i + 4);
  return bits;
}
ATTUNE_INLINE Vec round(Vec a) {  // |a| < 2^22: the sum's last bit is 1
  const Vec big = broadcast(0x1.8p23f);
  return a + big - big;
}
ATTUNE_INLINE Vec scale_by_power(Vec a, Vec n) {
  const Int4 lo = __builtin_convertvector(n.lo, Int4), hi = __builtin_convertvector(n.hi, Int4);
  const Int4 half_lo = lo >> 1, half_hi = hi >> 1;
  const Vec one{(Float4)((half_lo + 127) << 23), (Float4)((half_hi + 127) << 23)};
  const Vec two{(Float4)((lo - half_lo + 127) << 23), (Float4)((hi - half_hi + 127) << 23)};
  return a * one * two;
}

template <class T>
ATTUNE_INLINE Vec load(const T* p) {
  float x[8];
  for (int i = 0; i < 8; ++i) x[i] = load_one(p + i);
  Vec a;
  __builtin_memcpy(&a, x, sizeof a);
  return a;
}
template <class T>
ATTUNE_INLINE void store(T* p, Vec a) {
  float x[8];
  __builtin_memcpy(x, &a, sizeof a);
  for (int i = 0; i < 8; ++i) store_one(p + i, x[i]);
}
ATTUNE_INLINE float sum(Vec a) {
  const Float4 q = a.lo + a.hi;
  return (q[0] + q[2]) + (q[1] + q[3]);
}
ATTUNE_INLINE float max_of(Vec a) {
  const Vec q = max(a, Vec{a.hi, a.lo});
  const float x = q.lo[0] > q.lo[2] ? q.lo[0] : q.lo[2], y = q.lo[1] > q.lo[3] ? q.lo[1] : q.lo[3];
  return x > y ? x : y;
}
ATTUNE_INLINE Vec fold4(Vec a, Vec b) { return {a.lo + a.hi, b.lo + b.hi}; }
ATTUNE_INLINE Float4 fold2_half(Float4 a, Float4 b) { return Float4{a[0], a[1], b[0], b[1]} + Float4{a[2], a[3], b[2], b[3]}; }
ATTUNE_INLINE Float4 fold1_half(Float4 a, Float4 b) { return Float4{a[0], a[2], b[0], b[2]} + Float4{a[1], a[3], b[1], b[3]}; }
ATTUNE_INLINE Vec fold2(Vec a, Vec b) { return {fold2_half(a.lo, b.lo), fold2_half(a.hi, b.hi)}; }
ATTUNE_INLINE Vec fold1(Vec a, Vec b) { return {fold1_half(a.lo, b.lo), fold1_half(a.hi, b.hi)}; }

ATTUNE_INLINE Pairs load_pairs(const bf16_t* p) {
  Pairs a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}
ATTUNE_INLINE Vec even(Pairs a) {
  Int4 lo, hi;
  __builtin_memcpy(&lo, a.v, 16), __builtin_memcpy(&hi, a.v + 4, 16);
  return {(Float4)(lo << 16), (Float4)(hi << 16)};
}
ATTUNE_INLINE Vec odd(Pairs a) {
  Int4 lo, hi;
  __builtin_memcpy(&lo, a.v, 16), __builtin_memcpy(&hi, a.v + 4, 16);
  return {(Float4)(lo & ~0xffff), (Float4)(hi & ~0xffff)};
}

#endif  // plain

template <class T>
ATTUNE_INLINE Vec load_tail(const T* p, int n) {
  T x[kWidth] = {};
  for (int i = 0; i < n; ++i) x[i] = p[i];
  return load(static_cast<const T*>(x));
}
template <class T>
ATTUNE_INLINE void store_tail(T* p, Vec a, int n) {
  T x[kWidth];
  store(static_cast<T*>(x), a);
  for (int i = 0; i < n; ++i) p[i] = x[i];
}
ATTUNE_INLINE void sums8(const Vec* a, float* out) {  // inputs four apart meet in one vector, so that the sums come out in order
  store(out, fold1(fold2(fold4(a[0], a[4]), fold4(a[1], a[5])), fold2(fold4(a[2], a[6]), fold4(a[3], a[7]))));
}
ATTUNE_INLINE void sums16(const Vec* a, float* out) {
  sums8(a, out);
  sums8(a + 8, out + 8);
}
ATTUNE_INLINE Pairs load_pairs_tail(const bf16_t* p, int n) {
  bf16_t x[2 * kWidth] = {};
  for (int i = 0; i < n; ++i) x[i] = p[i];
  return load_pairs(x);
}
ATTUNE_INLINE Vec dot(Pairs a, Pairs b, Vec c) { return fma(odd(a), odd(b), fma(even(a), even(b), c)); }

ATTUNE_INLINE Vec load_fours(const float* const* from) {
  float x[kWidth];
  for (int i = 0; i < kWidth; ++i) x[i] = from[i / 4][i % 4];
  return load(static_cast<const float*>(x));
}

#endif  // width 8

// ---- what follows is the same for every instruction set ----

inline constexpr float kInfinity = __builtin_inff();

/// 8-bit stores go through memory: the compiler vectorises the loop.
template <class T>
ATTUNE_INLINE void store_f8(T* p, Vec a, int n) {
  float x[kWidth];
  store(static_cast<float*>(x), a);
  for (int i = 0; i < n; ++i) store_one(p + i, x[i]);
}

/// e^a: error below 2 ulp; e^−inf = 0, overflow gives inf, NaN stays NaN.
ATTUNE_INLINE Vec exp(Vec a) {
  const Vec x = min(broadcast(89.0f), max(broadcast(-104.0f), a));
  const Vec n = round(x * broadcast(1.44269504088896341f));
  Vec r = fma(n, broadcast(-0x1.62e4p-1f), x);
  r = fma(n, broadcast(-0x1.7f7d1cp-20f), r);
  Vec p = broadcast(1.3926182584e-03f);
  p = fma(p, r, broadcast(8.3631742701e-03f));
  p = fma(p, r, broadcast(4.1666554608e-02f));
  p = fma(p, r, broadcast(1.6666577018e-01f));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r * r, r) + broadcast(1.0f);
  return scale_by_power(p, n);
}

/// tanh a: an odd polynomial near 0, 1 − 2 / (e^2|a| + 1) elsewhere.
ATTUNE_INLINE Vec tanh(Vec a) {
  const Vec x = abs(a), z = a * a, one = broadcast(1.0f);
  Vec p = broadcast(2.2925574306e-03f);
  p = fma(p, z, broadcast(-8.3437800810e-03f));
  p = fma(p, z, broadcast(2.1768868101e-02f));
  p = fma(p, z, broadcast(-5.3959253359e-02f));
  p = fma(p, z, broadcast(1.3333303531e-01f));
  p = fma(p, z, broadcast(-3.3333333172e-01f));
  const Vec far = one - broadcast(2.0f) / (exp(x + x) + one);
  const Vec signed_far = select(less(a, zero()), zero() - far, far);
  return select(less(x, broadcast(0.625f)), fma(a * z, p, a), signed_far);
}

/// Calls f(task, worker) for tasks 0..tasks−1 on the pool.
template <class F>
ATTUNE_INLINE void parallel(const ExecContext& ctx, int64_t tasks, const F& f) {
  ctx.pool->run(
      tasks, [](void* g, int64_t task, int worker) { (*static_cast<const F*>(g))(task, worker); }, const_cast<F*>(&f));
}

/// Elements below which a launch stays on this thread: the others spin while a step runs, so handing them a share costs about 0.3 µs.
inline constexpr int64_t kParallelFrom = 4096;

/// Calls f(first, last, worker) for pieces of [0, count); one piece, on this thread, if all of it is below kParallelFrom elements.
template <class F>
ATTUNE_INLINE void parallel_ranges(const ExecContext& ctx, int64_t count, int64_t elements_each, const F& f) {
  const int64_t pieces = count < ctx.pool->size() ? count : ctx.pool->size();
  if (pieces <= 1 || count * elements_each < kParallelFrom) {
    if (count > 0) f(int64_t{0}, count, 0);
    return;
  }
  parallel(ctx, pieces, [&](int64_t i, int worker) { f(count * i / pieces, count * (i + 1) / pieces, worker); });
}

template <class T>
struct Type {
  using Of = T;
};
/// Calls f(Type<T>) for a storage type f32, f16 or bf16.
template <class F>
ATTUNE_INLINE void with_wide_type(DType t, const F& f) {
  if (t == DType::bf16) return f(Type<bf16_t>{});
  if (t == DType::f16) return f(Type<f16_t>{});
  f(Type<float>{});
}

}  // namespace attune::cpu::ATTUNE_ISA
