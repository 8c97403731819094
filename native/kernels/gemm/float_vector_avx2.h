// The AVX2 vector of the float products: 4 rows by 2 tokens in 8 registers.
#pragma once

#include <immintrin.h>

namespace mambino {
namespace {

struct VectorAvx2 {
    using Register = __m256;
    static constexpr int kWidth = 8, kTileRows = 4, kTileTokens = 2;
    static Register zero() { return _mm256_setzero_ps(); }
    static Register load(const float* at) { return _mm256_loadu_ps(at); }
    static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
    static float sum(Register v) {
        __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        four = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
    }
};

}  // namespace
}  // namespace mambino
