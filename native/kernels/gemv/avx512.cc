// AVX-512 VNNI products of quantised weights with 1 .. 8 tokens, reading the file's blocks in place. Start at gemv.
//
// A row is read 256 values at a time (an octet of 32-blocks). Four vpdpbusd a token leave 64 partial sums, reduced
// within lanes to one int32 per 16 values; one conversion and one FMA then serve 16 scales. What a token contributes
// beside its 8-bit values is laid out in the same lane order once a call, in scratch.
#include "kernels/table.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm/avx512.h"
#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx512.h"
#include "kernels/gemv/octet_avx512.h"

namespace mambino {
namespace {

struct alignas(64) OctetActivations {
    int8_t q8[256];
    int32_t start[16];     // -zero * sum of 16
    float scale[16];
    float min_factor[16];  // scale * sum of 16
};

// Values of one octet of one token in the order of Format's vectors; blocks past the row's end become zeros.
template <class Format>
void arrange_octet(const Activations& x, int64_t token, int64_t octet, OctetActivations& out) {
    for (int i = 0; i < 4; ++i)
        for (int p = 0; p < 2; ++p) {
            const int64_t block = octet * 8 + Format::kPairs[i][p];
            const bool exists = block * 32 < x.cols;
            int8_t* q8 = out.q8 + i * 64 + p * 32;
            if (exists) std::memcpy(q8, x.q8 + token * x.cols + block * 32, 32);
            else std::memset(q8, 0, 32);
            for (int half = 0; half < 2; ++half) {
                const int lane = 4 * (2 * p + half) + i;
                const int32_t sum = exists ? x.sum16[token * (x.cols / 16) + block * 2 + half] : 0;
                out.scale[lane] = exists ? x.scale[token * (x.cols / 32) + block] : 0.0f;
                out.start[lane] = -Format::kZero * sum;
                out.min_factor[lane] = out.scale[lane] * static_cast<float>(sum);
            }
        }
}

// Sums each 128-bit lane of v[i] into element i of the same lane, plus start. Bounds: |activation| <= 127.
template <int max>
inline __m512i reduce_lanes(const __m512i (&v)[4], __m512i start) {
    if constexpr (8 * max * 127 <= 32767) {
        const __m512i ones = _mm512_set1_epi16(1);
        const __m512i pair01 = _mm512_madd_epi16(_mm512_packs_epi32(v[0], v[1]), ones);
        const __m512i pair23 = _mm512_madd_epi16(_mm512_packs_epi32(v[2], v[3]), ones);
        return _mm512_dpwssd_epi32(start, _mm512_packs_epi32(pair01, pair23), ones);
    } else {
        const __m512i sum01 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
        const __m512i sum23 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
        const __m512i sum = _mm512_add_epi32(_mm512_unpacklo_epi64(sum01, sum23), _mm512_unpackhi_epi64(sum01, sum23));
        return _mm512_add_epi32(sum, start);
    }
}

template <class Format, int T>
inline __attribute__((always_inline)) void add_octet(const OctetWeights& w, const OctetActivations* x, __m512 (&sums)[T]) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
        __m512i v[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
            v[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w.q[i], _mm512_load_si512(x[t].q8 + 64 * i));
        const __m512i dots = reduce_lanes<Format::kMax>(v, _mm512_load_si512(x[t].start));
        const __m512 scale = _mm512_mul_ps(w.scale, _mm512_load_ps(x[t].scale));
        sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scale, sums[t]);
        if constexpr (Format::kHasMin) sums[t] = _mm512_fnmadd_ps(w.min, _mm512_load_ps(x[t].min_factor), sums[t]);
    }
}

constexpr int64_t kPrefetchBytes = 2048;

// Adds octets [begin, end) of one row to T vectors of partial sums.
template <DType type, int T>
void add_octets(const uint8_t* row, int64_t cols, int64_t begin, int64_t end, const OctetActivations* x,
                __m512* partial) {
    using Format = Octet<type>;
    constexpr int64_t kBlockNbytes = dtype_info(type).block_nbytes;
    constexpr int64_t kOctetBytes = kBlockNbytes * 256 / dtype_info(type).block_size;
    __m512 sums[T];
    for (int t = 0; t < T; ++t) sums[t] = partial[t];
    const int64_t whole = std::min(end, cols / 256);
    const uint8_t* at = row + begin * kOctetBytes;
    x += begin * T;
    for (int64_t o = begin; o < whole; ++o, at += kOctetBytes, x += T) {
        for (int64_t line = 0; line < kOctetBytes; line += 64)
            _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes + line), _MM_HINT_T0);
        add_octet<Format, T>(Format::load(BlockAt<kBlockNbytes, true>{at, 7}), x, sums);
    }
    if (whole < end) add_octet<Format, T>(Format::load(BlockAt<kBlockNbytes, false>{at, cols % 256 / 32 - 1}), x, sums);
    for (int t = 0; t < T; ++t) partial[t] = sums[t];
}

// Rows in groups and octets in slices, so that a slice of T tokens' activations stays in L1.
template <DType type, int T>
void gemv_tokens(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                 uint8_t* scratch) {
    constexpr int64_t kGroupRows = 16, kSlice = 52 / T;
    auto* arranged = reinterpret_cast<OctetActivations*>(scratch);
    const int64_t octets = (w.cols + 255) / 256;
    for (int64_t o = 0; o < octets; ++o)
        for (int t = 0; t < T; ++t) arrange_octet<Octet<type>>(x, t, o, arranged[o * T + t]);
    for (int64_t r = row_begin; r < row_end; r += kGroupRows) {
        const int64_t rows = std::min(kGroupRows, row_end - r);
        __m512 partial[kGroupRows][T];
        for (auto& row : partial)
            for (__m512& sum : row) sum = _mm512_setzero_ps();
        for (int64_t o = 0; o < octets; o += kSlice)
            for (int64_t i = 0; i < rows; ++i)
                add_octets<type, T>(w.row(r + i), w.cols, o, std::min(o + kSlice, octets), arranged, partial[i]);
        for (int64_t i = 0; i < rows; ++i)
            for (int t = 0; t < T; ++t) y[t * y_stride + r + i] = _mm512_reduce_add_ps(partial[i][t]);
    }
}

// From six tokens on, unpacking panels costs less than taking each block apart for reduction.
template <DType type>
void gemv(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static constexpr MatmulKernel by_tokens[] = {gemv_tokens<type, 1>, gemv_tokens<type, 2>, gemv_tokens<type, 3>,
                                                 gemv_tokens<type, 4>, gemv_tokens<type, 5>};
    const MatmulKernel run = x.tokens <= 5 ? by_tokens[x.tokens - 1] : gemm_avx512(type);
    run(w, row_begin, row_end, x, y, y_stride, scratch);
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemv[static_cast<int>(types)].set(gemv<types>, Isa::kAvx512), ...);
}

}  // namespace

void fill_gemv_avx512(KernelTable& table) {
    set_gemv_float<VectorAvx512>(table, Isa::kAvx512, std::make_integer_sequence<int, kNumDTypes>{});
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
