// AVX2 products of weights with 1 .. 8 tokens, reading the file's blocks in place. Start at gemv.
//
// A row is read 128 values at a time (a quad of 32-blocks). Horizontal additions leave one int32 per 16 values; one
// conversion and one FMA then serve eight scales. What a token contributes beside its 8-bit values is laid out in the
// same lane order once a call, in scratch.
#include <algorithm>
#include <utility>

#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx2.h"
#include "kernels/gemv/quad_avx2.h"
#include "kernels/table.h"

namespace mambino {
namespace {

struct alignas(32) QuadActivations {
    int8_t q8[128];
    int32_t start[8];     // -zero * sum of 16
    float scale[8];
    float min_factor[8];  // scale * sum of 16
};

// One quad of one token; blocks past the row's end become zeros.
void arrange_quad(const Activations& x, int zero, int64_t token, int64_t quad, QuadActivations& out) {
    for (int i = 0; i < 4; ++i) {
        const int64_t block = quad * 4 + i;
        const bool exists = block * 32 < x.cols;
        if (exists) std::memcpy(out.q8 + 32 * i, x.q8 + token * x.cols + block * 32, 32);
        else std::memset(out.q8 + 32 * i, 0, 32);
        for (int half = 0; half < 2; ++half) {
            const int lane = 4 * half + i;
            const int32_t sum = exists ? x.sum16[token * (x.cols / 16) + block * 2 + half] : 0;
            out.scale[lane] = exists ? x.scale[token * (x.cols / 32) + block] : 0.0f;
            out.start[lane] = -zero * sum;
            out.min_factor[lane] = out.scale[lane] * static_cast<float>(sum);
        }
    }
}

template <class Format, int T>
inline __attribute__((always_inline)) void add_quad(const QuadWeights& w, const QuadActivations* x, __m256 (&sums)[T]) {
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
        __m256i v[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(x[t].q8 + 32 * i));
            v[i] = _mm256_madd_epi16(multiply_pairs<Format>(w.q[i], bytes), ones);
        }
        const __m256i dots = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
        const __m256i start = _mm256_load_si256(reinterpret_cast<const __m256i*>(x[t].start));
        const __m256 scale = _mm256_mul_ps(w.scale, _mm256_load_ps(x[t].scale));
        sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(dots, start)), scale, sums[t]);
        if constexpr (Format::kHasMin) sums[t] = _mm256_fnmadd_ps(w.min, _mm256_load_ps(x[t].min_factor), sums[t]);
    }
}

constexpr int64_t kPrefetchBytes = 2048;

template <DType type, int T>
void dot_row(const uint8_t* row, int64_t cols, const QuadActivations* x, float* y, int64_t y_stride) {
    const int64_t quads = (cols + 127) / 128, nbytes = row_nbytes(type, cols);
    __m256 sums[T];
    for (__m256& sum : sums) sum = _mm256_setzero_ps();
    for (int64_t i = 0; i < quads; ++i) {
        for (int64_t line = nbytes * i / quads / 64 * 64; line < nbytes * (i + 1) / quads; line += 64)
            _mm_prefetch(reinterpret_cast<const char*>(row + kPrefetchBytes + line), _MM_HINT_T0);
        add_quad<Quad<type>, T>(Quad<type>::load(row, i, cols / 32), x + i * T, sums);
    }
    for (int t = 0; t < T; ++t) y[t * y_stride] = VectorAvx2::sum(sums[t]);
}

template <DType type, int T>
void gemv_tokens(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                 uint8_t* scratch) {
    auto* arranged = reinterpret_cast<QuadActivations*>(scratch);
    for (int64_t i = 0; i < (w.cols + 127) / 128; ++i)
        for (int t = 0; t < T; ++t) arrange_quad(x, Quad<type>::kZero, t, i, arranged[i * T + t]);
    for (int64_t r = row_begin; r < row_end; ++r) dot_row<type, T>(w.row(r), w.cols, arranged, y + r, y_stride);
}

template <DType type>
void gemv(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static constexpr MatmulKernel by_tokens[kGemvMaxTokens] = {
        gemv_tokens<type, 1>, gemv_tokens<type, 2>, gemv_tokens<type, 3>, gemv_tokens<type, 4>,
        gemv_tokens<type, 5>, gemv_tokens<type, 6>, gemv_tokens<type, 7>, gemv_tokens<type, 8>};
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
