// vpdpbusd with nothing around it: 16 sums hide its latency.
#include "kernels/ceiling/ceiling.h"

#include <immintrin.h>

namespace mambino {

int32_t multiply_int8_avx512(int64_t rounds) {
    __m512i sums[16];
    for (int i = 0; i < 16; ++i) sums[i] = _mm512_set1_epi32(i);
    __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        asm volatile("" : "+v"(a), "+v"(b));  // as if the operands were new, so that no round is optimised away
    }
    for (int i = 1; i < 16; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
    return _mm512_reduce_add_epi32(sums[0]);
}

}  // namespace mambino
