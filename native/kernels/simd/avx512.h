// Sixteen floats and the operations that the vector kernels are written in. Include only from *avx512.cc files.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mambino {
namespace {  // one copy per file: no symbol compiled for this instruction set can serve another file

struct Avx512 {
    using Reg = __m512;
    static constexpr int64_t kLanes = 16;
    static constexpr int kKeyRegs = 4;  // registers along the keys, or the values, of an attention tile

    static Reg zero() { return _mm512_setzero_ps(); }
    static Reg set(float x) { return _mm512_set1_ps(x); }
    static Reg load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
    static Reg load(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(mask(count), p); }
    static void store(float* p, Reg x, int64_t count) { _mm512_mask_storeu_ps(p, mask(count), x); }
    static Reg load_half(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
    static Reg load_int8(const int8_t* p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
    static void store_half(uint16_t* p, Reg x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }

    static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
    static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
    static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
    static Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
    static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
    static Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
    static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
    static Reg round(Reg a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static Reg scale_by_power_of_two(Reg a, Reg n) { return _mm512_scalef_ps(a, n); }
    // a where mask is finite, 0 where it is -infinity
    static Reg zero_where_hidden(Reg a, Reg mask) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(mask, _mm512_set1_ps(-3.4028235e38f), _CMP_GE_OQ), a);
    }
    static float sum(Reg a) { return _mm512_reduce_add_ps(a); }
    // out[i] = sum of x[i], i < 4: three adds and shuffles a sum instead of ten.
    static void sum_four(const Reg* x, float* out) {
        const Reg ab = add(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
        const Reg cd = add(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
        const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        const Reg lanes = add(_mm512_castpd_ps(low), _mm512_castpd_ps(high));  // four sums in each 128-bit lane
        const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
        _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
    }
    static float top(Reg a) { return _mm512_reduce_max_ps(a); }

  private:
    static __mmask16 mask(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
};

}  // namespace
}  // namespace mambino
