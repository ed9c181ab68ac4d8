// Vector lanes: one struct for each instruction set, with the same exactly rounded operations. Only
// kernels_*.cpp include this file, each compiled for one instruction set. All is in anonymous
// namespaces and without the standard library: of functions that several files share the linker
// keeps one, possibly one for a processor that is not there.
#pragma once

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace narfast::isa {
namespace {

/// One lane: the oracle of the others, the tail of every array, and the path of old processors.
struct PlainLanes {
  using Floats = float;
  using Ints = int;
  static constexpr int kWidth = 1;
  static constexpr int kRows = 4;     // of the block that a product keeps in registers
  static constexpr int kVectors = 4;  // side by side in that block

  static Floats load(const float* from) { return *from; }
  static void store(float* to, Floats x) { *to = x; }
  static Floats all(float x) { return x; }
  static Floats add(Floats a, Floats b) { return a + b; }
  static Floats sub(Floats a, Floats b) { return a - b; }
  static Floats mul(Floats a, Floats b) { return a * b; }
  static Floats div(Floats a, Floats b) { return a / b; }
  static Floats fma(Floats a, Floats b, Floats c) { return __builtin_fmaf(a, b, c); }
  /// `a` where a > b, else `b`: also for zeros of either sign.
  static Floats max(Floats a, Floats b) { return a > b ? a : b; }
  static Floats min(Floats a, Floats b) { return a < b ? a : b; }
  /// `yes` where a < b, else `no`.
  static Floats where_less(Floats a, Floats b, Floats yes, Floats no) { return a < b ? yes : no; }
  static Ints bits(Floats x) { return __builtin_bit_cast(int, x); }
  static Floats from_bits(Ints x) { return __builtin_bit_cast(float, x); }
  static Ints all_bits(int x) { return x; }
  static Ints add_bits(Ints a, Ints b) {
    return static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
  }
  static Ints sub_bits(Ints a, Ints b) {
    return static_cast<int>(static_cast<unsigned>(a) - static_cast<unsigned>(b));
  }
  static Ints and_bits(Ints a, Ints b) { return a & b; }
  /// Moves the low bits into the place of the exponent.
  static Ints to_exponent(Ints x) { return static_cast<int>(static_cast<unsigned>(x) << 23); }
  /// The exponent, sign extended.
  static Ints exponent(Ints x) { return x >> 23; }
  static Floats to_floats(Ints x) { return static_cast<float>(x); }
};

#if defined(__AVX512F__)

struct Avx512Lanes {
  using Floats = __m512;
  using Ints = __m512i;
  static constexpr int kWidth = 16;
  static constexpr int kRows = 12;
  static constexpr int kVectors = 2;

  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  static Floats all(float x) { return _mm512_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats where_less(Floats a, Floats b, Floats yes, Floats no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
  }
  static Ints bits(Floats x) { return _mm512_castps_si512(x); }
  static Floats from_bits(Ints x) { return _mm512_castsi512_ps(x); }
  static Ints all_bits(int x) { return _mm512_set1_epi32(x); }
  static Ints add_bits(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints sub_bits(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  static Ints and_bits(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  static Ints to_exponent(Ints x) { return _mm512_slli_epi32(x, 23); }
  static Ints exponent(Ints x) { return _mm512_srai_epi32(x, 23); }
  static Floats to_floats(Ints x) { return _mm512_cvtepi32_ps(x); }
};

#elif defined(__AVX2__)

struct Avx2Lanes {
  using Floats = __m256;
  using Ints = __m256i;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 6;
  static constexpr int kVectors = 2;

  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
  static Floats all(float x) { return _mm256_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats where_less(Floats a, Floats b, Floats yes, Floats no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  static Ints bits(Floats x) { return _mm256_castps_si256(x); }
  static Floats from_bits(Ints x) { return _mm256_castsi256_ps(x); }
  static Ints all_bits(int x) { return _mm256_set1_epi32(x); }
  static Ints add_bits(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints sub_bits(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  static Ints and_bits(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints to_exponent(Ints x) { return _mm256_slli_epi32(x, 23); }
  static Ints exponent(Ints x) { return _mm256_srai_epi32(x, 23); }
  static Floats to_floats(Ints x) { return _mm256_cvtepi32_ps(x); }
};

#elif defined(__aarch64__)

struct NeonLanes {
  using Floats = float32x4_t;
  using Ints = int32x4_t;
  static constexpr int kWidth = 4;
  static constexpr int kRows = 6;
  static constexpr int kVectors = 4;

  static Floats load(const float* from) { return vld1q_f32(from); }
  static void store(float* to, Floats x) { vst1q_f32(to, x); }
  static Floats all(float x) { return vdupq_n_f32(x); }
  static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats sub(Floats a, Floats b) { return vsubq_f32(a, b); }
  static Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats div(Floats a, Floats b) { return vdivq_f32(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  static Floats max(Floats a, Floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static Floats min(Floats a, Floats b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Floats where_less(Floats a, Floats b, Floats yes, Floats no) {
    return vbslq_f32(vcltq_f32(a, b), yes, no);
  }
  static Ints bits(Floats x) { return vreinterpretq_s32_f32(x); }
  static Floats from_bits(Ints x) { return vreinterpretq_f32_s32(x); }
  static Ints all_bits(int x) { return vdupq_n_s32(x); }
  static Ints add_bits(Ints a, Ints b) { return vaddq_s32(a, b); }
  static Ints sub_bits(Ints a, Ints b) { return vsubq_s32(a, b); }
  static Ints and_bits(Ints a, Ints b) { return vandq_s32(a, b); }
  static Ints to_exponent(Ints x) { return vshlq_n_s32(x, 23); }
  static Ints exponent(Ints x) { return vshrq_n_s32(x, 23); }
  static Floats to_floats(Ints x) { return vcvtq_f32_s32(x); }
};

#endif

}  // namespace
}  // namespace narfast::isa
