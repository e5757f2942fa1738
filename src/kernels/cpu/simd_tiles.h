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
ATTUNE_INLINE Vec even_half(Vec pairs) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs.v), 16))}; }
ATTUNE_INLINE Vec odd_half(Vec pairs) { return {_mm512_and_ps(pairs.v, _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0xffff0000u))))}; }

#if defined(ATTUNE_ISA_avx512_bf16)
/// The lower 16 bits of the bf16 values of all 128 non-negative f8 codes, for table lookups.
struct F8Table {
  alignas(64) uint16_t bf16[128];
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
    t.bf16[code] = static_cast<uint16_t>(!fnuz && code == 0x7f ? 0x7fc0 : bits);
  }
  return t;
}
inline constexpr F8Table kF8Ocp = f8_table(7, false), kF8Fnuz = f8_table(8, true);

/// The f8 in the low byte of each word as bf16, exactly; `signs` has its sign on top.
template <bool Fnuz>
ATTUNE_INLINE __m512i widen_f8_words(__m512i w, __m512i signs) {
  const uint16_t* table = Fnuz ? kF8Fnuz.bf16 : kF8Ocp.bf16;
  const __m512i low = _mm512_permutex2var_epi16(_mm512_load_si512(table), w, _mm512_load_si512(table + 32));
  const __m512i high = _mm512_permutex2var_epi16(_mm512_load_si512(table + 64), w, _mm512_load_si512(table + 96));
  const __m512i magnitude = _mm512_mask_mov_epi16(low, _mm512_test_epi16_mask(w, _mm512_set1_epi16(0x40)), high);
  const __m512i value = _mm512_ternarylogic_epi32(magnitude, signs, _mm512_set1_epi16(static_cast<int16_t>(0x8000)), 0xf8);
  if constexpr (!Fnuz) return value;
  const __m512i code = _mm512_and_si512(w, _mm512_set1_epi16(0xff));
  return _mm512_mask_mov_epi16(value, _mm512_cmpeq_epi16_mask(code, _mm512_set1_epi16(0x80)), _mm512_set1_epi16(0x7fc0));
}
/// 32 f8 values as bf16.
template <bool Fnuz>
ATTUNE_INLINE Pairs widen_f8_pairs(__m256i bytes) {
  const __m512i w = _mm512_cvtepu8_epi16(bytes);
  return {widen_f8_words<Fnuz>(w, _mm512_slli_epi16(w, 8))};
}
/// Of four f8 a lane: the pairs of the first and third, and of the second and fourth.
template <class T>
ATTUNE_INLINE Vec even_f8(Vec bytes) {
  const __m512i b = _mm512_castps_si512(bytes.v);
  return {_mm512_castsi512_ps(widen_f8_words<__is_same(T, f8_e4m3fnuz_t)>(b, _mm512_slli_epi16(b, 8)))};
}
template <class T>
ATTUNE_INLINE Vec odd_f8(Vec bytes) {
  const __m512i b = _mm512_castps_si512(bytes.v);
  return {_mm512_castsi512_ps(widen_f8_words<__is_same(T, f8_e4m3fnuz_t)>(_mm512_srli_epi16(b, 8), b))};
}
ATTUNE_INLINE Pairs load_pairs(const f8_e4m3_t* p) { return widen_f8_pairs<false>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
ATTUNE_INLINE Pairs load_pairs(const f8_e4m3fnuz_t* p) { return widen_f8_pairs<true>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
ATTUNE_INLINE __m256i load_bytes_tail(const void* p, int n) { return _mm256_maskz_loadu_epi8(n >= 32 ? ~0u : (1u << n) - 1u, p); }
ATTUNE_INLINE Pairs load_pairs_tail(const f8_e4m3_t* p, int n) { return widen_f8_pairs<false>(load_bytes_tail(p, n)); }
ATTUNE_INLINE Pairs load_pairs_tail(const f8_e4m3fnuz_t* p, int n) { return widen_f8_pairs<true>(load_bytes_tail(p, n)); }

/// Lane i of (low, high) taken together: element i of `even` and of `odd`.
ATTUNE_INLINE void zip(Pairs even_row, Pairs odd_row, Pairs* low, Pairs* high) {
  const __m512i ascending =
      _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  low->v = _mm512_permutex2var_epi16(even_row.v, ascending, odd_row.v);
  high->v = _mm512_permutex2var_epi16(even_row.v, _mm512_add_epi16(ascending, _mm512_set1_epi16(16)), odd_row.v);
}
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
ATTUNE_INLINE Vec even_half(Vec pairs) { return even(__builtin_bit_cast(Pairs, pairs)); }
ATTUNE_INLINE Vec odd_half(Vec pairs) { return odd(__builtin_bit_cast(Pairs, pairs)); }

#endif

#if !defined(ATTUNE_ISA_avx512_bf16)
template <class T>
Vec even_f8(Vec);  // of the bf16 instruction set alone
template <class T>
Vec odd_f8(Vec);
ATTUNE_INLINE Vec product(const float* a, Vec b, Vec c) { return fma(broadcast(*a), b, c); }
ATTUNE_INLINE void store_weights(float* row, int key, Vec a) { store(row + key, a); }
#endif

}  // namespace attune::cpu::ATTUNE_ISA
