// AVX2 products of weights with 1 .. 4 tokens, reading the file's blocks in place. Start at gemv.
//
// Eight rows advance together, 128 values (a quad of 32-blocks) at a time. Horizontal additions leave one int32 per 16 values
// of a row; these are transposed, so that one float lane is one row. Float sums then run over blocks in the same order as in
// gemm, so a product does not depend on the number of tokens.
#include <algorithm>
#include <utility>

#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx2.h"
#include "kernels/gemv/quad_avx2.h"
#include "kernels/simd/transpose.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kRows = 8;

// One quad of one token. Blocks past the row's end are zeros.
struct alignas(32) QuadActivations {
    int8_t q8[128];
    int32_t start[4][2];  // -zero * sum of 16
    float scale[4];
    float min_factor[4];  // scale * sum of 32
};

void arrange_quad(const Activations& x, int zero, int64_t token, int64_t quad, QuadActivations& out) {
    for (int i = 0; i < 4; ++i) {
        const int64_t block = quad * 4 + i;
        if (block * 32 >= x.cols) {
            std::memset(out.q8 + 32 * i, 0, 32);
            continue;
        }
        std::memcpy(out.q8 + 32 * i, x.q8 + token * x.cols + block * 32, 32);
        const int32_t* sum16 = x.sum16 + token * (x.cols / 16) + block * 2;
        for (int half = 0; half < 2; ++half) out.start[i][half] = -zero * sum16[half];
        out.scale[i] = x.scale[token * (x.cols / 32) + block];
        out.min_factor[i] = out.scale[i] * static_cast<float>(sum16[0] + sum16[1]);
    }
}

// Lane 4 * half + i: the dot of 16-value half `half` of block i. Neighbours are added in 16 bits as long as they cannot overflow.
template <class Format>
inline __attribute__((always_inline)) __m256i dot_quad(const QuadWeights& w, const int8_t* q8) {
    constexpr int kMost = 32767 / (2 * Format::kMax * 127);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
        v[i] = multiply_pairs<Format>(w.q[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(q8 + 32 * i)));
    if constexpr (kMost >= 2) {
        const __m256i low = _mm256_hadd_epi16(v[0], v[1]), high = _mm256_hadd_epi16(v[2], v[3]);
        if constexpr (kMost >= 4) return _mm256_madd_epi16(_mm256_hadd_epi16(low, high), ones);
        else return _mm256_hadd_epi32(_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones));
    } else {
        for (__m256i& pairs : v) pairs = _mm256_madd_epi16(pairs, ones);
        return _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    }
}

// Eight rows' scales, mins and dots with T tokens, first as they are computed, then a lane a row.
template <int T>
struct QuadRows {
    __m256i scale[kRows], min[kRows], dots[T][kRows];
};

// column[i]: the dots of block i, both halves added, a lane a row.
inline void add_halves(const __m256i (&row)[kRows], __m256i (&column)[4]) {
    __m256i both[4];
    for (int r = 0; r < 4; ++r)
        both[r] = _mm256_add_epi32(_mm256_permute2x128_si256(row[r], row[r + 4], 0x20),
                                   _mm256_permute2x128_si256(row[r], row[r + 4], 0x31));
    transpose_halves(both, column);
}

// sums += one quad's dots of one token; the same operations in the same order as gemm. A column of scales is a lane of the quad.
template <class Format, int kColumns>
inline void add_quad(const __m256i (&dots)[kRows], const __m256i (&scale)[kColumns], const __m256i (&min)[4], const QuadActivations& x,
                     int64_t blocks, __m256& sums) {
    __m256i column[kColumns];
    if constexpr (Format::kHalves) transpose_dwords(dots, column);
    else add_halves(dots, column);
    for (int64_t b = 0; b < blocks; ++b) {
        const __m256 x_scale = _mm256_set1_ps(x.scale[b]);
        for (int half = 0; half < kColumns / 4; ++half) {
            const int32_t start = Format::kHalves ? x.start[b][half] : x.start[b][0] + x.start[b][1];
            const __m256 dot = _mm256_cvtepi32_ps(_mm256_add_epi32(column[4 * half + b], _mm256_set1_epi32(start)));
            sums = _mm256_fmadd_ps(dot, _mm256_mul_ps(_mm256_castsi256_ps(scale[4 * half + b]), x_scale), sums);
        }
        if constexpr (Format::kHasMin) sums = _mm256_fnmadd_ps(_mm256_castsi256_ps(min[b]), _mm256_set1_ps(x.min_factor[b]), sums);
    }
}

// T tokens with quad `quad` of eight rows.
template <DType type, int T>
inline void multiply_quad(const uint8_t* const* rows, int64_t quad, int64_t blocks, const QuadActivations* x, __m256 (&sums)[T]) {
    using Format = Quad<type>;
    QuadRows<T> of_rows;
    for (int64_t r = 0; r < kRows; ++r) {
        const QuadWeights w = Format::load(rows[r], quad, blocks);
        of_rows.scale[r] = _mm256_castps_si256(w.scale);
        if constexpr (Format::kHasMin) of_rows.min[r] = _mm256_castps_si256(w.min);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) of_rows.dots[t][r] = dot_quad<Format>(w, x[t].q8);
    }
    __m256i scale[Format::kHalves ? 8 : 4], min[4] = {};
    transpose_dwords(of_rows.scale, scale);
    if constexpr (Format::kHasMin) transpose_dwords(of_rows.min, min);
    for (int t = 0; t < T; ++t) add_quad<Format>(of_rows.dots[t], scale, min, x[t], std::min<int64_t>(4, blocks - quad * 4), sums[t]);
}

template <DType type, int T>
void gemv_tokens(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                 uint8_t* scratch) {
    const int64_t blocks = w.cols / 32, quads = (blocks + 3) / 4, nbytes = row_nbytes(type, w.cols);
    auto* arranged = reinterpret_cast<QuadActivations*>(scratch);
    for (int64_t i = 0; i < quads; ++i)
        for (int t = 0; t < T; ++t) arrange_quad(x, Quad<type>::kZero, t, i, arranged[i * T + t]);
    for (int64_t r = row_begin; r < row_end; r += kRows) {
        const uint8_t* rows[kRows];  // beyond the end: the last row again, never stored
        for (int64_t i = 0; i < kRows; ++i) rows[i] = w.row(std::min(r + i, row_end - 1));
        __m256 sums[T];
        for (__m256& sum : sums) sum = _mm256_setzero_ps();
        const uint8_t* next = w.row(r) + kRows * nbytes;  // prefetched in the order in which they lie
        for (int64_t i = 0; i < quads; ++i) {
            for (int64_t line = kRows * nbytes * i / quads / 64 * 64; line < kRows * nbytes * (i + 1) / quads; line += 64)
                _mm_prefetch(reinterpret_cast<const char*>(next + line), _MM_HINT_T1);
            multiply_quad<type, T>(rows, i, blocks, arranged + i * T, sums);
        }
        for (int t = 0; t < T; ++t) {
            alignas(32) float of_rows[kRows];
            _mm256_store_ps(of_rows, sums[t]);
            std::copy_n(of_rows, std::min(kRows, row_end - r), y + t * y_stride + r);
        }
    }
}

template <DType type>
void gemv(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static constexpr MatmulKernel by_tokens[kGemvMaxTokens] = {
        gemv_tokens<type, 1>, gemv_tokens<type, 2>, gemv_tokens<type, 3>, gemv_tokens<type, 4>};
    by_tokens[x.tokens - 1](w, row_begin, row_end, x, y, y_stride, scratch);
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemv[static_cast<int>(types)].set(gemv<types>, Isa::kAvx2), ...);
}

}  // namespace

void fill_gemv_avx2(KernelTable& table) {
    set_gemv_float<VectorAvx2>(table, Isa::kAvx2, std::make_integer_sequence<int, kNumDTypes>{});
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
