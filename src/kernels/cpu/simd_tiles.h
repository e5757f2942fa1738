#pragma once

// The seam, second part: square transposes and the packing of bf16 pairs, for kernels whose lanes are keys.

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {

/// Into the second-level cache: the first level has few lines in flight.
ATTUNE_INLINE void prefetch_second(const void* p) { __builtin_prefetch(p, 0, 2); }

#if defined(ATTUNE_ISA_avx512) || defined(ATTUNE_ISA_avx512_bf16)

ATTUNE_INLINE __m512d pd(__m512 a) { return _mm512_castps_pd(a); }
ATTUNE_INLINE __m512 ps(__m512d a) { return _mm512_castpd_ps(a); }

/// Lane j of vector i becomes lane i of vector j.
ATTUNE_INLINE void transpose(Vec* r) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    a[i + 1] = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  for (int i = 0; i < 16; i += 4) {  // b[i + c]: column c of each 4×4 block of rows i..i+3
    b[i] = ps(_mm512_unpacklo_pd(pd(a[i]), pd(a[i + 2])));
    b[i + 1] = ps(_mm512_unpackhi_pd(pd(a[i]), pd(a[i + 2])));
    b[i + 2] = ps(_mm512_unpacklo_pd(pd(a[i + 1]), pd(a[i + 3])));
    b[i + 3] = ps(_mm512_unpackhi_pd(pd(a[i + 1]), pd(a[i + 3])));
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 even_lo = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88), odd_lo = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd);
    const __m512 even_hi = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88), odd_hi = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
    r[c].v = _mm512_shuffle_f32x4(even_lo, even_hi, 0x88);
    r[8 + c].v = _mm512_shuffle_f32x4(even_lo, even_hi, 0xdd);
    r[4 + c].v = _mm512_shuffle_f32x4(odd_lo, odd_hi, 0x88);
    r[12 + c].v = _mm512_shuffle_f32x4(odd_lo, odd_hi, 0xdd);
  }
}
/// Two bf16 a lane seen as a vector, and its halves widened to floats.
ATTUNE_INLINE Vec as_vec(Pairs p) { return {_mm512_castsi512_ps(p.v)}; }
ATTUNE_INLINE Pairs as_pairs(Vec a) { return {_mm512_castps_si512(a.v)}; }
ATTUNE_INLINE Vec even_half(Vec pairs) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs.v), 16))}; }
ATTUNE_INLINE Vec odd_half(Vec pairs) { return {_mm512_and_ps(pairs.v, _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0xffff0000u))))}; }

#if defined(ATTUNE_ISA_avx512_bf16)
/// The two bytes of the bf16 values of all 128 non-negative f8 codes, for table lookups.
struct F8Table {
  alignas(64) uint8_t low[128];
  alignas(64) uint8_t high[128];
};
constexpr F8Table f8_table(int bias, bool fnuz) {
  F8Table t{};
  for (uint32_t code = 0; code < 128; ++code) {
    const uint32_t exponent = code >> 3, mantissa = code & 7;
    uint32_t bits = ((exponent + 127 - static_cast<uint32_t>(bias)) << 7) | (mantissa << 4);
    if (exponent == 0) {  // mantissa · 2^(−2 − bias): its leading bit becomes implicit
      const uint32_t lead = mantissa >= 4 ? 2 : mantissa >= 2 ? 1 : 0;
      bits = mantissa == 0 ? 0 : ((127 - 2 - static_cast<uint32_t>(bias) + lead) << 7) | ((mantissa << (7 - lead)) & 0x7f);
    }
    if (!fnuz && code == 0x7f) bits = 0x7fc0;
    t.low[code] = static_cast<uint8_t>(bits), t.high[code] = static_cast<uint8_t>(bits >> 8);
  }
  return t;
}
inline constexpr F8Table kF8Ocp = f8_table(7, false), kF8Fnuz = f8_table(8, true);

/// 64 f8 as bf16, exactly, in two registers: the low bytes and the high bytes.
struct Bytes {
  __m512i low, high;
};
template <class T>
ATTUNE_INLINE Bytes widen_f8_bytes(__m512i code) {
  constexpr bool kFnuz = __is_same(T, f8_e4m3fnuz_t);
  const F8Table& t = kFnuz ? kF8Fnuz : kF8Ocp;
  Bytes b{_mm512_permutex2var_epi8(_mm512_load_si512(t.low), code, _mm512_load_si512(t.low + 64)),
          _mm512_permutex2var_epi8(_mm512_load_si512(t.high), code, _mm512_load_si512(t.high + 64))};
  b.high = _mm512_ternarylogic_epi32(b.high, code, _mm512_set1_epi8(-128), 0xf8);  // with the sign
  if constexpr (kFnuz) {
    const __mmask64 nan = _mm512_cmpeq_epi8_mask(code, _mm512_set1_epi8(-128));
    b.low = _mm512_mask_mov_epi8(b.low, nan, _mm512_set1_epi8(-64)), b.high = _mm512_mask_mov_epi8(b.high, nan, _mm512_set1_epi8(0x7f));
  }
  return b;
}

/// What one load of 64 bytes gives: 32 bf16, or 64 f8 as bf16. Of those the first part holds the even ones of the eights that follow each other,
/// the second part the odd ones (part_order does the same to a row of bf16).
template <class T>
constexpr int kParts = 2 / static_cast<int>(sizeof(T));
ATTUNE_INLINE void load_parts(const bf16_t* p, Pairs* parts) { parts[0] = {_mm512_loadu_si512(p)}; }
template <class T>
ATTUNE_INLINE void load_parts(const T* p, Pairs* parts) {
  const Bytes b = widen_f8_bytes<T>(_mm512_loadu_si512(p));
  parts[0] = {_mm512_unpacklo_epi8(b.low, b.high)}, parts[1] = {_mm512_unpackhi_epi8(b.low, b.high)};
}
inline void part_order(bf16_t* row) {  // 64 elements
  bf16_t eights[8][8];
  __builtin_memcpy(eights, row, sizeof eights);
  for (int i = 0; i < 8; ++i) __builtin_memcpy(row + (i % 2 * 4 + i / 2) * 8, eights[i], sizeof eights[i]);
}

/// 64 bytes of two rows → the pairs (even row, odd row) of their columns, in kZipped vectors: vector j holds in fours the columns 4j, 4·kZipped + 4j,
/// 8·kZipped + 4j and 12·kZipped + 4j.
template <class T>
constexpr int kZipped = 4 / static_cast<int>(sizeof(T));
ATTUNE_INLINE void zip_parts(const bf16_t* even_row, const bf16_t* odd_row, Pairs* out) {
  const __m512i a = _mm512_loadu_si512(even_row), b = _mm512_loadu_si512(odd_row);
  out[0] = {_mm512_unpacklo_epi16(a, b)}, out[1] = {_mm512_unpackhi_epi16(a, b)};
}
template <class T>
ATTUNE_INLINE void zip_parts(const T* even_row, const T* odd_row, Pairs* out) {
  const __m512i a = _mm512_loadu_si512(even_row), b = _mm512_loadu_si512(odd_row);
  const Bytes low = widen_f8_bytes<T>(_mm512_unpacklo_epi8(a, b)), high = widen_f8_bytes<T>(_mm512_unpackhi_epi8(a, b));
  out[0] = {_mm512_unpacklo_epi8(low.low, low.high)}, out[1] = {_mm512_unpackhi_epi8(low.low, low.high)};
  out[2] = {_mm512_unpacklo_epi8(high.low, high.high)}, out[3] = {_mm512_unpackhi_epi8(high.low, high.high)};
}
/// 32 f8 values as bf16, in order.
template <class T>
ATTUNE_INLINE Pairs widen_f8_pairs(__m256i bytes) {
  const Bytes b = widen_f8_bytes<T>(_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 4, 2, 4, 3, 4), _mm512_zextsi256_si512(bytes)));
  return {_mm512_unpacklo_epi8(b.low, b.high)};
}
ATTUNE_INLINE __m256i load_bytes_tail(const void* p, int n) { return _mm256_maskz_loadu_epi8(n >= 32 ? ~0u : (1u << n) - 1u, p); }
ATTUNE_INLINE Pairs load_pairs_tail(const f8_e4m3_t* p, int n) { return widen_f8_pairs<f8_e4m3_t>(load_bytes_tail(p, n)); }
ATTUNE_INLINE Pairs load_pairs_tail(const f8_e4m3fnuz_t* p, int n) { return widen_f8_pairs<f8_e4m3fnuz_t>(load_bytes_tail(p, n)); }

/// c + a · b, where `a` is one bf16 pair of a row, and b holds the pairs of kWidth columns.
ATTUNE_INLINE Vec product(const float* a, Vec b, Vec c) {
  const __m512i pair = _mm512_castps_si512(_mm512_set1_ps(*a));
  return {_mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(pair), reinterpret_cast<__m512bh>(b.v))};
}
/// Weights of keys [key, key + kWidth) into a row of steps, rounded to nearest even; subnormals become zeros, as VDPBF16PS reads them.
ATTUNE_INLINE void store_weights(float* row, int key, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<bf16_t*>(row) + key), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v)));
}
#endif

#elif defined(ATTUNE_ISA_avx2)

ATTUNE_INLINE void transpose(Vec* r) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
    a[i + 1] = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    r[c].v = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
    r[4 + c].v = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
  }
}
ATTUNE_INLINE Vec as_vec(Pairs p) { return {_mm256_castsi256_ps(p.v)}; }
ATTUNE_INLINE Pairs as_pairs(Vec a) { return {_mm256_castps_si256(a.v)}; }
ATTUNE_INLINE Vec even_half(Vec pairs) { return even(Pairs{_mm256_castps_si256(pairs.v)}); }
ATTUNE_INLINE Vec odd_half(Vec pairs) { return odd(Pairs{_mm256_castps_si256(pairs.v)}); }

#else

ATTUNE_INLINE void transpose(Vec* r) {
  float rows[8][8];
  __builtin_memcpy(rows, r, sizeof rows);
  for (int j = 0; j < 8; ++j) {
    float column[8];
    for (int i = 0; i < 8; ++i) column[i] = rows[i][j];
    __builtin_memcpy(&r[j], column, sizeof column);
  }
}
ATTUNE_INLINE Vec as_vec(Pairs p) { return __builtin_bit_cast(Vec, p); }
ATTUNE_INLINE Pairs as_pairs(Vec a) { return __builtin_bit_cast(Pairs, a); }
ATTUNE_INLINE Vec even_half(Vec pairs) { return even(__builtin_bit_cast(Pairs, pairs)); }
ATTUNE_INLINE Vec odd_half(Vec pairs) { return odd(__builtin_bit_cast(Pairs, pairs)); }

#endif

#if !defined(ATTUNE_ISA_avx512_bf16)
template <class T>
constexpr int kParts = 1;
template <class T>
constexpr int kZipped = 1;
void part_order(bf16_t* row);  // of the bf16 instruction set alone
ATTUNE_INLINE Vec product(const float* a, Vec b, Vec c) { return fma(broadcast(*a), b, c); }
ATTUNE_INLINE void store_weights(float* row, int key, Vec a) { store(row + key, a); }
#endif

}  // namespace attune::cpu::ATTUNE_ISA
