// AVX2 products of weights for many tokens. Start at gemm.
//
// 16 rows by 512 k are unpacked into bytes, 8 rows by 4 consecutive k a register, and meet every token of a turn in tiles
// of 4 tokens by 16 rows. Products are added in 16 bits for as many groups of k as cannot overflow, then widened. A token's
// float sum runs over blocks in order of k whatever the tile, here and in gemv: results depend neither on the tiling nor on how
// many tokens there are.
#include <algorithm>
#include <utility>

#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx2.h"
#include "kernels/gemv/quad_avx2.h"
#include "kernels/simd/transpose.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kSliceBlocks = 16, kRows = 16, kTile = 4;
constexpr int64_t kTurn = 128;  // tokens that meet all panels before the next ones do
constexpr int64_t kNearBytes = int64_t{192} << 10;  // of tokens that stay in a second-level cache beside what else is there

struct Panel {
    alignas(32) uint8_t q[kSliceBlocks][8][2][32];  // [block][group of 4 k][8 rows][4 bytes each row]
    alignas(32) float scale[kSliceBlocks][2][2][8];  // [block][half][8 rows]
    alignas(32) float min[kSliceBlocks][2][8];
};

// The other operand of a tile: [token] of what one slice needs.
struct TileTerms {
    const int8_t* q8[kTile];
    const float* scale[kTile];
    int32_t start[kTile][2 * kSliceBlocks];  // -zero * sum of 16
    float min_factor[kTile][kSliceBlocks];   // scale * sum of 32
};

// Quad `quad` of eight rows into blocks b .. b + 3 of the panel, row vector v.
template <DType type>
void unpack_quad(const uint8_t* const* rows, int64_t quad, int64_t blocks, int64_t b, int v, Panel& panel) {
    QuadWeights w[8];
    for (int r = 0; r < 8; ++r) w[r] = Quad<type>::load(rows[r], quad, blocks);
    __m256i row[8], column[8];
    for (int i = 0; i < 4; ++i) {
        for (int r = 0; r < 8; ++r) row[r] = w[r].q[i];
        transpose_dwords(row, column);
        for (int g = 0; g < 8; ++g) _mm256_store_si256(reinterpret_cast<__m256i*>(panel.q[b + i][g][v]), column[g]);
    }
    __m256i scale[Quad<type>::kHalves ? 8 : 4], min[4];
    for (int r = 0; r < 8; ++r) row[r] = _mm256_castps_si256(w[r].scale);
    transpose_dwords(row, scale);
    for (int lane = 0; lane < (Quad<type>::kHalves ? 8 : 4); ++lane)
        _mm256_store_ps(panel.scale[b + lane % 4][lane / 4][v], _mm256_castsi256_ps(scale[lane]));
    if constexpr (Quad<type>::kHasMin) {
        for (int r = 0; r < 8; ++r) row[r] = _mm256_castps_si256(w[r].min);
        transpose_dwords(row, min);
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
template <class Format, int T>
void multiply_tile(const Panel& w, int64_t blocks, const TileTerms& x, float (*sums)[2][8]) {
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

template <class Format>
void set_terms(const Activations& x, int64_t token, int64_t block, int64_t blocks, int64_t t, TileTerms& terms) {
    const int32_t* sum16 = x.sum16 + token * (x.cols / 16) + 2 * block;
    terms.q8[t] = x.q8 + token * x.cols + 32 * block;
    terms.scale[t] = x.scale + token * (x.cols / 32) + block;
    for (int64_t i = 0; i < 2 * blocks; ++i) terms.start[t][i] = -Format::kZero * sum16[i];
    if constexpr (Format::kHasMin)
        for (int64_t b = 0; b < blocks; ++b)
            terms.min_factor[t][b] = terms.scale[t][b] * static_cast<float>(sum16[2 * b] + sum16[2 * b + 1]);
}

// Tokens [first, last) with one panel slice: y[t][0 .. rows) = or += products.
template <class Format>
void multiply_panel(const Panel& panel, int64_t block, int64_t blocks, const Activations& x, int64_t first, int64_t last,
                    int64_t rows, float* y, int64_t y_stride) {
    const auto nbytes = static_cast<size_t>(rows) * sizeof(float);
    static constexpr void (*by_tokens[kTile])(const Panel&, int64_t, const TileTerms&, float (*)[2][8]) = {
        multiply_tile<Format, 1>, multiply_tile<Format, 2>, multiply_tile<Format, 3>, multiply_tile<Format, 4>};
    TileTerms terms;
    float sums[kTile][2][8];
    for (int64_t token = first; token < last; token += kTile) {
        const int64_t count = std::min(kTile, last - token);
        std::memset(sums, 0, sizeof sums);
        for (int64_t t = 0; t < count; ++t) {
            set_terms<Format>(x, token + t, block, blocks, t, terms);
            if (block) std::memcpy(sums[t], y + (token + t) * y_stride, nbytes);
        }
        by_tokens[count - 1](panel, blocks, terms, sums);
        for (int64_t t = 0; t < count; ++t) std::memcpy(y + (token + t) * y_stride, sums[t], nbytes);
    }
}

// Where panel i of a product begins. Panels of the same slice follow one another where a slice of the tokens fits into the
// second-level cache and all of their blocks do not.
struct PanelOrder {
    int64_t row_begin, row_end, total;  // total: blocks of a row
    bool by_slice;
    int64_t panels() const { return (row_end - row_begin + kRows - 1) / kRows; }
    int64_t slices() const { return (total + kSliceBlocks - 1) / kSliceBlocks; }
    int64_t row(int64_t i) const { return row_begin + (by_slice ? i % panels() : i / slices()) * kRows; }
    int64_t block(int64_t i) const { return (by_slice ? i / panels() : i % slices()) * kSliceBlocks; }
};

// The bytes of a panel's slice on their way into the cache while the one before is multiplied.
inline void prefetch_slice(const Matrix& w, int64_t row, int64_t row_end, int64_t block) {
    const int64_t nbytes = row_nbytes(w.type, w.cols), per_block = nbytes * 32 / w.cols;
    for (int64_t r = row; r < std::min(row + kRows, row_end); ++r) {
        const uint8_t* from = w.row(r) + block * per_block;
        for (int64_t at = 0; at < std::min(kSliceBlocks * per_block, nbytes - block * per_block); at += 64)
            _mm_prefetch(reinterpret_cast<const char*>(from + at), _MM_HINT_T1);
    }
}

template <DType type>
void gemm(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static_assert(sizeof(Panel) <= 65536);
    Panel& panel = *reinterpret_cast<Panel*>(scratch);
    const int64_t total = w.cols / 32;
    for (int64_t first = 0; first < x.tokens; first += kTurn) {
        const int64_t last = std::min(first + kTurn, x.tokens);
        const PanelOrder order{row_begin, row_end, total, (last - first) * x.cols > kNearBytes};
        const int64_t count = order.panels() * order.slices();
        for (int64_t i = 0; i < count; ++i) {
            const int64_t r = order.row(i), block = order.block(i), blocks = std::min(kSliceBlocks, total - block);
            const uint8_t* rows[kRows];  // beyond the end: the last row again, never stored
            for (int64_t j = 0; j < kRows; ++j) rows[j] = w.row(std::min(r + j, row_end - 1));
            for (int64_t b = 0; b < blocks; b += 4)
                for (int v = 0; v < 2; ++v) unpack_quad<type>(rows + 8 * v, (block + b) / 4, total, b, v, panel);
            if (i + 1 < count) prefetch_slice(w, order.row(i + 1), row_end, order.block(i + 1));
            multiply_panel<Quad<type>>(panel, block, blocks, x, first, last, std::min(kRows, row_end - r), y + r, y_stride);
        }
    }
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemm[static_cast<int>(types)].set(gemm<types>, Isa::kAvx2), ...);
}

}  // namespace

void fill_gemm_avx2(KernelTable& table) {
    set_gemm_float<VectorAvx2>(table, Isa::kAvx2, std::make_integer_sequence<int, kNumDTypes>{});
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
