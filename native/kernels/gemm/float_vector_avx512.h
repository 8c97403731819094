// The AVX-512 vector of the float products: 4 rows by 4 tokens in 16 registers.
#pragma once

#include <immintrin.h>

namespace mambino {
namespace {

struct VectorAvx512 {
    using Register = __m512;
    static constexpr int kWidth = 16, kTileRows = 4, kTileTokens = 4;
    static Register zero() { return _mm512_setzero_ps(); }
    static Register load(const float* at) { return _mm512_loadu_ps(at); }
    static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
    static float sum(Register v) { return _mm512_reduce_add_ps(v); }
};

}  // namespace
}  // namespace mambino
