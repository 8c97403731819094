// Tiles of AVX2 products: 16 rows by 4 tokens, weights unpacked so that one lane is one row. Serves gemm and gemv; internal
// linkage. Start at multiply_tile.
//
// Products are added in 16 bits for as many groups of k as cannot overflow, then widened. A token's float sum runs over blocks
// in order of k, so results depend neither on the tiling nor on how many tokens there are.
#pragma once

#include <cstring>

#include "kernels/gemv/quad_avx2.h"
#include "kernels/simd/transpose.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kPanelRows = 16, kTile = 4;

// Weights of a slice of 16 rows.
template <int64_t kBlocks>
struct Panel {
    alignas(32) uint8_t q[kBlocks][8][2][32];  // [block][group of 4 k][8 rows][4 bytes each row]
    alignas(32) float scale[kBlocks][2][2][8];  // [block][half][8 rows]
    alignas(32) float min[kBlocks][2][8];
};

// The other operand of a tile: [token] of what one slice needs.
template <int64_t kBlocks>
struct TileTerms {
    const int8_t* q8[kTile];
    const float* scale[kTile];
    int32_t start[kTile][2 * kBlocks];  // -zero * sum of 16
    float min_factor[kTile][kBlocks];   // scale * sum of 32
};

inline __m128i half_of(const void* vector, int half) { return load16(static_cast<const uint8_t*>(vector) + 16 * half); }

// Quad `quad` of eight rows into blocks b .. b + 3 of the panel, row vector v.
template <DType type, int64_t kBlocks>
void unpack_quad(const uint8_t* const* rows, int64_t quad, int64_t blocks, int64_t b, int v, Panel<kBlocks>& panel) {
    QuadWeights w[8];
    for (int r = 0; r < 8; ++r) w[r] = Quad<type>::load(rows[r], quad, blocks);
    for (int i = 0; i < 4; ++i) {
        __m256i column[8];
        transpose_dwords([&](int r, int half) { return half_of(&w[r].q[i], half); }, column);
        for (int g = 0; g < 8; ++g) _mm256_store_si256(reinterpret_cast<__m256i*>(panel.q[b + i][g][v]), column[g]);
    }
    constexpr int kScales = Quad<type>::kHalves ? 8 : 4;
    __m256i scale[kScales], min[4];
    transpose_dwords([&](int r, int half) { return half_of(&w[r].scale, half); }, scale);
    for (int lane = 0; lane < kScales; ++lane)
        _mm256_store_ps(panel.scale[b + lane % 4][lane / 4][v], _mm256_castsi256_ps(scale[lane]));
    if constexpr (Quad<type>::kHasMin) {
        transpose_dwords([&](int r, int half) { return half_of(&w[r].min, half); }, min);
        for (int i = 0; i < 4; ++i) _mm256_store_ps(panel.min[b + i][v], _mm256_castsi256_ps(min[i]));
    }
}

// The compiler would turn a chain of sums into a tree, whose many open products do not fit into registers.
inline __attribute__((always_inline)) void keep_order(__m256i& sum) { asm("" : "+x"(sum)); }

// Groups [first, last) of one block for T tokens: dots[t][v] += int32 products of 8 rows each.
template <class Format, int T, int first, int last>
inline __attribute__((always_inline)) void dot_groups(const uint8_t (*q)[2][32], const int8_t* const* x,
                                                      __m256i (&dots)[T][2]) {
    constexpr int kMost = 32767 / (2 * Format::kMax * 127), kRun = kMost >= 8 ? 8 : kMost >= 4 ? 4 : kMost >= 2 ? 2 : 1;
    static_assert((last - first) % kRun == 0);
    const __m256i ones = _mm256_set1_epi16(1);
    for (int g = first; g < last; g += kRun) {
        __m256i pairs[T][2];
#pragma GCC unroll 8
        for (int i = 0; i < kRun; ++i)
            for (int t = 0; t < T; ++t) {
                int32_t four;
                std::memcpy(&four, x[t] + 4 * (g + i), 4);
                for (int v = 0; v < 2; ++v) {
                    const __m256i w = _mm256_load_si256(reinterpret_cast<const __m256i*>(q[g + i][v]));
                    const __m256i product = multiply_pairs<Format>(w, _mm256_set1_epi32(four));
                    pairs[t][v] = i == 0 ? product : _mm256_add_epi16(pairs[t][v], product);
                    if constexpr (kRun > 1) keep_order(pairs[t][v]);
                }
            }
        for (int t = 0; t < T; ++t)
            for (int v = 0; v < 2; ++v) dots[t][v] = _mm256_add_epi32(dots[t][v], _mm256_madd_epi16(pairs[t][v], ones));
    }
}

// sums[t][v] += one panel slice times T tokens.
template <class Format, int T, int64_t kBlocks>
void multiply_tile(const Panel<kBlocks>& w, int64_t blocks, const TileTerms<kBlocks>& x, float (*sums)[2][8]) {
    constexpr bool kHalves = Format::kHalves;
    __m256 total[T][2];
    for (int t = 0; t < T; ++t)
        for (int v = 0; v < 2; ++v) total[t][v] = _mm256_loadu_ps(sums[t][v]);
    for (int64_t b = 0; b < blocks; ++b) {
        const int8_t* q8[T];
        for (int t = 0; t < T; ++t) q8[t] = x.q8[t] + 32 * b;
        const auto add_scaled = [&](const __m256i (&dots)[T][2], int half) {
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < 2; ++v) {
                    const __m256 x_scale = _mm256_set1_ps(x.scale[t][b]);
                    const __m256 scale = _mm256_mul_ps(_mm256_load_ps(w.scale[b][half][v]), x_scale);
                    total[t][v] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t][v]), scale, total[t][v]);
                    if constexpr (Format::kHasMin)
                        total[t][v] = _mm256_fnmadd_ps(_mm256_load_ps(w.min[b][v]),
                                                       _mm256_set1_ps(x.min_factor[t][b]), total[t][v]);
                }
        };
        __m256i dots[T][2];
        for (int t = 0; t < T; ++t)
            dots[t][0] = dots[t][1] = _mm256_set1_epi32(x.start[t][2 * b] + (kHalves ? 0 : x.start[t][2 * b + 1]));
        dot_groups<Format, T, 0, kHalves ? 4 : 8>(w.q[b], q8, dots);
        add_scaled(dots, 0);
        if constexpr (kHalves) {
            for (int t = 0; t < T; ++t) dots[t][0] = dots[t][1] = _mm256_set1_epi32(x.start[t][2 * b + 1]);
            dot_groups<Format, T, 4, 8>(w.q[b], q8, dots);
            add_scaled(dots, 1);
        }
    }
    for (int t = 0; t < T; ++t)
        for (int v = 0; v < 2; ++v) _mm256_storeu_ps(sums[t][v], total[t][v]);
}

template <class Format, int64_t kBlocks>
void set_terms(const Activations& x, int64_t token, int64_t block, int64_t blocks, int64_t t, TileTerms<kBlocks>& terms) {
    const int32_t* sum16 = x.sum16 + token * (x.cols / 16) + 2 * block;
    terms.q8[t] = x.q8 + token * x.cols + 32 * block;
    terms.scale[t] = x.scale + token * (x.cols / 32) + block;
    for (int64_t i = 0; i < 2 * blocks; ++i) terms.start[t][i] = -Format::kZero * sum16[i];
    if constexpr (Format::kHasMin)
        for (int64_t b = 0; b < blocks; ++b)
            terms.min_factor[t][b] = terms.scale[t][b] * static_cast<float>(sum16[2 * b] + sum16[2 * b + 1]);
}

// By the number of tokens in a tile, less one.
template <class Format, int64_t kBlocks>
constexpr void (*kMultiplyTile[kTile])(const Panel<kBlocks>&, int64_t, const TileTerms<kBlocks>&, float (*)[2][8]) = {
    multiply_tile<Format, 1>, multiply_tile<Format, 2>, multiply_tile<Format, 3>, multiply_tile<Format, 4>};

}  // namespace
}  // namespace mambino
