// The int8 products of AVX2: vpmaddubsw, vpmaddwd, vpaddd, with nothing around them.
#include "kernels/ceiling/ceiling.h"

#include <immintrin.h>

namespace mambino {

int32_t multiply_int8_avx2(int64_t rounds) {
    __m256i sums[12], ones = _mm256_set1_epi16(1);
    for (int i = 0; i < 12; ++i) sums[i] = _mm256_set1_epi32(i);
    __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; ++i) {
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
            asm volatile("" : "+x"(a), "+x"(b));  // as if the operands were new, so that no product is computed once for all
        }
    }
    for (int i = 1; i < 12; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
    int32_t lanes[8], total = 0;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sums[0]);
    for (const int32_t lane : lanes) total += lane;
    return total;
}

}  // namespace mambino
