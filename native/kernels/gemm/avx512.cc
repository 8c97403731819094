// AVX-512 VNNI products of quantised weights for many tokens. Start at gemm.
//
// A panel of 32 rows is unpacked once to u8, a slice of K at a time so that it stays in L1, and meets every token in
// tiles of 8: 16 int32 accumulators, each started at -zero * sum(activations) so that u8 weights act as signed ones.
// A token's float sum runs over blocks in order of k whatever the tile, so results do not depend on the tiling.
#include "kernels/table.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm/panel_avx512.h"

namespace mambino {
namespace {

constexpr int64_t kSliceBlocks = 32;  // 1024 k: 32 KiB of panel

// What a tile needs of its tokens beside the 8-bit values, for one slice.
struct TileTerms {
    alignas(64) int32_t start[8][2 * kSliceBlocks];  // -zero * sum, per scale
    alignas(64) float min_factor[8][kSliceBlocks];   // scale * sum of 32
};

struct Tile {
    const int8_t* x;
    int64_t x_stride;
    const float* x_scale;
    int64_t x_scale_stride;
    const TileTerms* terms;
    float* sums;  // [8][32], mutated
};

struct PanelSlice {
    const uint8_t* q;
    const float* scale;
    const float* min;
    int64_t blocks;
};

inline __m512i broadcast4(const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

// Groups [begin, begin + count) of 4 k, for T tokens and 32 rows.
template <int T, int count>
inline __attribute__((always_inline)) void dot_groups(const uint8_t* q, const int8_t* x, int64_t x_stride,
                                                      __m512i (&dots)[T][2]) {
#pragma GCC unroll 8
    for (int g = 0; g < count; ++g) {
        const __m512i w0 = _mm512_load_si512(q + g * 128), w1 = _mm512_load_si512(q + g * 128 + 64);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
            const __m512i four = broadcast4(x + t * x_stride + 4 * g);
            dots[t][0] = _mm512_dpbusd_epi32(dots[t][0], w0, four);
            dots[t][1] = _mm512_dpbusd_epi32(dots[t][1], w1, four);
        }
    }
}

// One scale a block: sums += dot * (scale * x_scale) - min * x_scale * x_sum.
template <int T, bool has_min>
void multiply_tile(const PanelSlice& w, const Tile& tile) {
    for (int64_t b = 0; b < w.blocks; ++b) {
        __m512i dots[T][2];
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) dots[t][0] = dots[t][1] = _mm512_set1_epi32(tile.terms->start[t][b]);
        dot_groups<T, 8>(w.q + b * kBlockBytes, tile.x + 32 * b, tile.x_stride, dots);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 scale = _mm512_load_ps(w.scale + b * 32 + v * 16);
#pragma GCC unroll 8
            for (int t = 0; t < T; ++t) {
                float* sums = tile.sums + t * 32 + v * 16;
                const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(tile.x_scale[t * tile.x_scale_stride + b]));
                __m512 sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t][v]), both, _mm512_load_ps(sums));
                if constexpr (has_min)
                    sum = _mm512_fnmadd_ps(_mm512_load_ps(w.min + b * 32 + v * 16),
                                           _mm512_set1_ps(tile.terms->min_factor[t][b]), sum);
                _mm512_store_ps(sums, sum);
            }
        }
    }
}

// Two scales a block (Q6_K): half as many tokens, so that both halves' dots stay in registers.
template <int T>
void multiply_tile_halves(const PanelSlice& w, const Tile& tile) {
    for (int64_t b = 0; b < w.blocks; ++b) {
        __m512i dots[2][T][2];
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t)
                dots[half][t][0] = dots[half][t][1] = _mm512_set1_epi32(tile.terms->start[t][2 * b + half]);
            dot_groups<T, 4>(w.q + b * kBlockBytes + half * 512, tile.x + 32 * b + 16 * half, tile.x_stride, dots[half]);
        }
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 scale0 = _mm512_load_ps(w.scale + b * 64 + v * 16);
            const __m512 scale1 = _mm512_load_ps(w.scale + b * 64 + 32 + v * 16);
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) {
                float* sums = tile.sums + t * 32 + v * 16;
                __m512 dot = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[0][t][v]), scale0);
                dot = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[1][t][v]), scale1, dot);
                const __m512 x_scale = _mm512_set1_ps(tile.x_scale[t * tile.x_scale_stride + b]);
                _mm512_store_ps(sums, _mm512_fmadd_ps(dot, x_scale, _mm512_load_ps(sums)));
            }
        }
    }
}

template <class Format>
constexpr int kTileTokens = Format::kHalves == 2 ? 4 : 8;

using TileFunction = void (*)(const PanelSlice&, const Tile&);

// The tile function of 1 .. kTileTokens tokens, by count - 1.
template <class Format, int... t>
TileFunction tile_function(int64_t tokens, std::integer_sequence<int, t...>) {
    static constexpr TileFunction functions[] = {[] {
        if constexpr (Format::kHalves == 2)
            return multiply_tile_halves<t + 1>;
        else
            return multiply_tile<t + 1, Format::kHasMin>;
    }()...};
    return functions[tokens - 1];
}

// Sums of 16 neighbours (n of them, rounded up to 32; sum16 readable that far only where valid) to sums of 32.
inline __m512i pair_sums(const int32_t* sum16, int64_t pairs) {
    const auto low = static_cast<__mmask16>(pairs >= 8 ? 0xffff : (1u << 2 * pairs) - 1);
    const auto high = static_cast<__mmask16>(pairs <= 8 ? 0 : pairs >= 16 ? 0xffff : (1u << (2 * pairs - 16)) - 1);
    const __m512i a = _mm512_maskz_loadu_epi32(low, sum16), b = _mm512_maskz_loadu_epi32(high, sum16 + 16);
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b));
}

template <class Format>
void fill_terms(const Activations& x, int64_t token, int64_t block, int64_t blocks, int t, TileTerms& terms) {
    const int32_t* sum16 = x.sum16 + (token * x.cols) / 16 + 2 * block;
    const float* scale = x.scale + token * (x.cols / 32) + block;
    if constexpr (Format::kHalves == 2) {
        for (int64_t i = 0; i < 2 * blocks; ++i) terms.start[t][i] = -Format::kZero * sum16[i];
        return;
    }
    for (int64_t i = 0; i < blocks; i += 16) {
        const int64_t count = std::min<int64_t>(16, blocks - i);
        const __m512i sum = pair_sums(sum16 + 2 * i, count);
        _mm512_store_si512(terms.start[t] + i, _mm512_mullo_epi32(sum, _mm512_set1_epi32(-Format::kZero)));
        if constexpr (Format::kHasMin) {
            const __m512 s = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), scale + i);
            _mm512_store_ps(terms.min_factor[t] + i, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), s));
        }
    }
}

inline __mmask16 row_mask(int64_t rows) { return static_cast<__mmask16>(rows >= 16 ? 0xffff : rows <= 0 ? 0 : (1u << rows) - 1); }

template <DType type>
void gemm(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    using Format = Unpack<type>;
    constexpr int64_t kFileBlocks = dtype_info(type).block_size / 32, kFileBytes = dtype_info(type).block_nbytes;
    constexpr int kTile = kTileTokens<Format>;
    uint8_t* q = scratch;
    auto* scale = reinterpret_cast<float*>(scratch + kSliceBlocks * kBlockBytes);
    float* min = scale + kSliceBlocks * 32 * Format::kHalves;
    alignas(64) float sums[8 * 32];
    TileTerms terms;

    for (int64_t r = row_begin; r < row_end; r += kGemmPanelRows) {
        const uint8_t* row[kGemmPanelRows];  // beyond the end: the last row again, never stored
        for (int64_t i = 0; i < kGemmPanelRows; ++i) row[i] = w.row(std::min(r + i, row_end - 1));
        const __mmask16 mask[2] = {row_mask(row_end - r), row_mask(row_end - r - 16)};
        for (int64_t begin = 0; begin < w.cols / 32; begin += kSliceBlocks) {
            const int64_t blocks = std::min(kSliceBlocks, w.cols / 32 - begin);
            for (int64_t b = 0; b < blocks; b += kFileBlocks)
                for (int v = 0; v < 2; ++v)
                    Format::block(row + 16 * v, (begin + b) / kFileBlocks * kFileBytes,
                                  {q + b * kBlockBytes + 64 * v, scale + b * 32 * Format::kHalves + 16 * v,
                                   min + b * 32 + 16 * v});
            for (int64_t token = 0; token < x.tokens; token += kTile) {
                const int64_t count = std::min<int64_t>(kTile, x.tokens - token);
                float* out = y + token * y_stride + r;
                for (int t = 0; t < count; ++t) {
                    fill_terms<Format>(x, token + t, begin, blocks, t, terms);
                    for (int v = 0; v < 2; ++v)
                        _mm512_store_ps(sums + t * 32 + v * 16,
                                        begin ? _mm512_maskz_loadu_ps(mask[v], out + t * y_stride + v * 16) : _mm512_setzero_ps());
                }
                const Tile tile{x.q8 + token * x.cols + begin * 32, x.cols, x.scale + token * (x.cols / 32) + begin,
                                x.cols / 32, &terms, sums};
                tile_function<Format>(count, std::make_integer_sequence<int, kTile>{})({q, scale, min, blocks}, tile);
                for (int t = 0; t < count; ++t)
                    for (int v = 0; v < 2; ++v)
                        _mm512_mask_storeu_ps(out + t * y_stride + v * 16, mask[v], _mm512_load_ps(sums + t * 32 + v * 16));
            }
        }
    }
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemm[static_cast<int>(types)].set(gemm<types>, Isa::kAvx512), ...);
}

}  // namespace

void fill_gemm_avx512(KernelTable& table) {
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
