// Transposes of small tiles of dwords in AVX2 registers; internal linkage, for files compiled for AVX2 or more.
#pragma once

#include <immintrin.h>

namespace mambino {
namespace {

// Column g of the 8 x 8 dwords whose row t is row[t].
inline void transpose_dwords(const __m256i (&row)[8], __m256i (&column)[8]) {
    __m256i quad[8];
    for (int i = 0; i < 8; i += 4) {
        const __m256i low01 = _mm256_unpacklo_epi32(row[i], row[i + 1]), high01 = _mm256_unpackhi_epi32(row[i], row[i + 1]);
        const __m256i low23 = _mm256_unpacklo_epi32(row[i + 2], row[i + 3]);
        const __m256i high23 = _mm256_unpackhi_epi32(row[i + 2], row[i + 3]);
        quad[i] = _mm256_unpacklo_epi64(low01, low23), quad[i + 1] = _mm256_unpackhi_epi64(low01, low23);
        quad[i + 2] = _mm256_unpacklo_epi64(high01, high23), quad[i + 3] = _mm256_unpackhi_epi64(high01, high23);
    }
    for (int i = 0; i < 4; ++i) {
        column[i] = _mm256_permute2x128_si256(quad[i], quad[i + 4], 0x20);
        column[i + 4] = _mm256_permute2x128_si256(quad[i], quad[i + 4], 0x31);
    }
}

// Column g of 8 x 4 dwords: the lower half of pair[r] is row r, the upper one row r + 4.
inline void transpose_halves(const __m256i (&pair)[4], __m256i (&column)[4]) {
    const __m256i low01 = _mm256_unpacklo_epi32(pair[0], pair[1]), high01 = _mm256_unpackhi_epi32(pair[0], pair[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(pair[2], pair[3]), high23 = _mm256_unpackhi_epi32(pair[2], pair[3]);
    column[0] = _mm256_unpacklo_epi64(low01, low23), column[1] = _mm256_unpackhi_epi64(low01, low23);
    column[2] = _mm256_unpacklo_epi64(high01, high23), column[3] = _mm256_unpackhi_epi64(high01, high23);
}

// Column g of the 8 x 8 (or 8 x 4) dwords whose row t is half_of(t, 0) and half_of(t, 1). Halves that lie in memory are put
// together by loads, which leaves the shuffling ports alone.
template <class HalfOf, int kColumns>
inline __attribute__((always_inline)) void transpose_dwords(const HalfOf& half_of, __m256i (&column)[kColumns]) {
    for (int half = 0; half < kColumns / 4; ++half) {
        __m256i pair[4], four[4];
        for (int r = 0; r < 4; ++r) pair[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(half_of(r, half)), half_of(r + 4, half), 1);
        transpose_halves(pair, four);
        for (int g = 0; g < 4; ++g) column[4 * half + g] = four[g];
    }
}

// The first four columns of 8 x 8 dwords.
inline void transpose_dwords(const __m256i (&row)[8], __m256i (&column)[4]) {
    __m256i pair[4];
    for (int r = 0; r < 4; ++r) pair[r] = _mm256_permute2x128_si256(row[r], row[r + 4], 0x20);
    transpose_halves(pair, column);
}

}  // namespace
}  // namespace mambino
