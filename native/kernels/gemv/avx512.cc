// AVX-512 VNNI products of quantised weights with 1 .. 8 tokens, reading the file's blocks in place. Start at gemv.
//
// 16 rows advance together, 256 values (an octet of 32-blocks) at a time. Of each row, four vpdpbusd a token leave 64
// partial sums, reduced to one int32 a scale; these are transposed, so that one float lane is one row. Float sums then run
// over blocks in the same order as in gemm, so a product does not depend on the number of tokens.
#include "kernels/table.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm/avx512.h"
#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx512.h"
#include "kernels/gemm/panel_avx512.h"
#include "kernels/gemv/octet_avx512.h"

namespace mambino {
namespace {

constexpr int64_t kRows = 16;
constexpr int kMostTokens = 4;  // from five on, unpacking panels costs less than reducing every token's sums

// One octet of one token. Blocks past the row's end are zeros.
struct alignas(64) OctetActivations {
    int8_t q8[256];      // in the order of Octet's vectors
    int32_t start[16];   // -zero * sum of one scale's values
    float scale[8];
    float min_factor[8];  // scale * sum of 32
};

template <DType type>
void arrange_octet(const Activations& x, int64_t token, int64_t octet, OctetActivations& out) {
    constexpr int kZero = Unpack<type>::kZero, kHalves = Unpack<type>::kHalves;
    for (int i = 0; i < 8; ++i) {
        const int64_t block = octet * 8 + Octet<type>::kPairs[i / 2][i % 2];
        if (block * 32 < x.cols) std::memcpy(out.q8 + i * 32, x.q8 + token * x.cols + block * 32, 32);
        else std::memset(out.q8 + i * 32, 0, 32);
    }
    const int64_t blocks = std::min<int64_t>(8, x.cols / 32 - octet * 8);
    for (int64_t b = 0; b < blocks; ++b) {
        const int64_t block = token * (x.cols / 32) + octet * 8 + b;
        const int32_t low = x.sum16[2 * block], high = x.sum16[2 * block + 1];
        out.start[kHalves * b] = -kZero * (kHalves == 2 ? low : low + high);
        if constexpr (kHalves == 2) out.start[2 * b + 1] = -kZero * high;
        out.scale[b] = x.scale[block];
        out.min_factor[b] = x.scale[block] * static_cast<float>(low + high);
    }
}

inline __m512i add_pairs(__m512i a, __m512i b) {  // of 16-bit sums that fit
    return _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1));
}

// Sums each 128-bit lane of v[i] into element i of the same lane. Bounds: |activation| <= 127, 4 products a dword.
template <int max>
inline __attribute__((always_inline)) __m512i reduce_lanes(const __m512i (&v)[4]) {
    if constexpr (8 * max * 127 <= 32767) {
        return add_pairs(add_pairs(v[0], v[1]), add_pairs(v[2], v[3]));
    } else if constexpr (4 * max * 127 <= 32767) {
        const __m512i sum01 = add_pairs(v[0], v[1]), sum23 = add_pairs(v[2], v[3]);  // a0 a1 b0 b1, in dwords
        const __m512 first = _mm512_castsi512_ps(sum01), second = _mm512_castsi512_ps(sum23);
        return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(first, second, 0x88)),
                                _mm512_castps_si512(_mm512_shuffle_ps(first, second, 0xdd)));
    } else {
        const __m512i sum01 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
        const __m512i sum23 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
        return _mm512_add_epi32(_mm512_unpacklo_epi64(sum01, sum23), _mm512_unpackhi_epi64(sum01, sum23));
    }
}

// out[i] lane L = elements i of lane L of x[0 .. 3].
inline __attribute__((always_inline)) void transpose_elements(const __m512i* x, __m512i* out) {
    const __m512i low01 = _mm512_unpacklo_epi32(x[0], x[1]), high01 = _mm512_unpackhi_epi32(x[0], x[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(x[2], x[3]), high23 = _mm512_unpackhi_epi32(x[2], x[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23), out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23), out[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The dots of 16 rows with one token's octet, as they are computed and then one vector a scale, a lane a row.
template <DType type, int halves = Unpack<type>::kHalves>
struct RowDots;

// One scale a block: vector j holds rows kFirst[j] and kFirst[j] + 4, lanes (row, member p of pair), elements pair i.
template <DType type>
struct RowDots<type, 1> {
    static constexpr int kFirst[8] = {0, 1, 2, 3, 8, 9, 10, 11};
    __m512i of_rows[8];

    static constexpr std::pair<int64_t, int64_t> rows(int j) { return {kFirst[j], kFirst[j] + 4}; }
    void set(int j, __m512i first, __m512i second) {  // adds halves
        of_rows[j] = _mm512_add_epi32(_mm512_shuffle_i32x4(first, second, 0x88), _mm512_shuffle_i32x4(first, second, 0xdd));
    }
    void transpose(__m512i (&of_blocks)[8]) const {
        __m512i low[4], high[4];
        transpose_elements(of_rows, low), transpose_elements(of_rows + 4, high);
        for (int i = 0; i < 4; ++i) {
            of_blocks[Octet<type>::kPairs[i][0]] = _mm512_shuffle_i32x4(low[i], high[i], 0x88);
            of_blocks[Octet<type>::kPairs[i][1]] = _mm512_shuffle_i32x4(low[i], high[i], 0xdd);
        }
    }
};

// Two scales a block: a vector a row, lanes (member p of pair, half), elements pair i.
template <DType type>
struct RowDots<type, 2> {
    __m512i of_rows[16];

    static constexpr std::pair<int64_t, int64_t> rows(int j) { return {2 * j, 2 * j + 1}; }
    void set(int j, __m512i first, __m512i second) { of_rows[2 * j] = first, of_rows[2 * j + 1] = second; }
    void transpose(__m512i (&of_halves)[16]) const {
        __m512i quads[4][4];
        for (int g = 0; g < 4; ++g) transpose_elements(of_rows + 4 * g, quads[g]);
        for (int i = 0; i < 4; ++i) {
            const __m512i low01 = _mm512_shuffle_i32x4(quads[0][i], quads[1][i], 0x44);
            const __m512i low23 = _mm512_shuffle_i32x4(quads[2][i], quads[3][i], 0x44);
            const __m512i high01 = _mm512_shuffle_i32x4(quads[0][i], quads[1][i], 0xee);
            const __m512i high23 = _mm512_shuffle_i32x4(quads[2][i], quads[3][i], 0xee);
            __m512i* first = of_halves + 2 * Octet<type>::kPairs[i][0];
            __m512i* second = of_halves + 2 * Octet<type>::kPairs[i][1];
            first[0] = _mm512_shuffle_i32x4(low01, low23, 0x88), first[1] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
            second[0] = _mm512_shuffle_i32x4(high01, high23, 0x88), second[1] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
        }
    }
};

// Scales and mins of 16 rows' octet: 32 floats apart, as Unpack stores them.
struct alignas(64) OctetScales {
    float scale[16 * 32], min[8 * 32];
};

// sums += one octet's dots of one token; the same operations in the same order as gemm.
template <DType type>
inline __attribute__((always_inline)) void add_octet(const RowDots<type>& dots, const OctetScales& w, const OctetActivations& x,
                                                     int64_t blocks, __m512& sums) {
    using Format = Unpack<type>;
    __m512i of_scales[8 * Format::kHalves];
    dots.transpose(of_scales);
    if constexpr (Format::kHasMin)
        for (int64_t b = 0; b < blocks; ++b)
            sums = _mm512_fnmadd_ps(_mm512_load_ps(w.min + 32 * b), _mm512_set1_ps(x.min_factor[b]), sums);
    const auto dot = [&](int64_t i) { return _mm512_cvtepi32_ps(_mm512_add_epi32(of_scales[i], _mm512_set1_epi32(x.start[i]))); };
#pragma GCC unroll 8
    for (int64_t b = 0; b < 8; ++b) {
        if (b == blocks) break;
        const __m512 scale = _mm512_set1_ps(x.scale[b]);
        if constexpr (Format::kHalves == 2) {
            __m512 both = _mm512_mul_ps(dot(2 * b), _mm512_load_ps(w.scale + 64 * b));
            both = _mm512_fmadd_ps(dot(2 * b + 1), _mm512_load_ps(w.scale + 64 * b + 32), both);
            sums = _mm512_fmadd_ps(both, scale, sums);
        } else {
            sums = _mm512_fmadd_ps(dot(b), _mm512_mul_ps(_mm512_load_ps(w.scale + 32 * b), scale), sums);
        }
    }
}

// T tokens with the octet at rows, blocks of it; next: what a later octet will read, prefetched in the order in which it lies.
template <DType type, int T, bool full>
inline __attribute__((always_inline)) void multiply_octet(Rows16 rows, const uint8_t* next, int64_t blocks, const OctetActivations* x,
                                                          __m512 (&sums)[T]) {
    constexpr int64_t kNbytes = dtype_info(type).block_nbytes, kBlocks = dtype_info(type).block_size / 32;
    constexpr int64_t kOctetBytes = kNbytes * 8 / kBlocks;
    OctetScales w;
    for (int64_t b = 0; b < blocks; b += kBlocks)
        Unpack<type>::scales(rows, b / kBlocks * kNbytes, {nullptr, w.scale + 32 * b * Unpack<type>::kHalves, w.min + 32 * b});
    RowDots<type> dots[T];
    for (int j = 0; j < 8; ++j) {
        for (int64_t line = 0; line < 2 * kOctetBytes; line += 64)
            _mm_prefetch(reinterpret_cast<const char*>(next + j * 2 * kOctetBytes + line), _MM_HINT_T1);
        const auto [first, second] = RowDots<type>::rows(j);
        const OctetWeights a = Octet<type>::load(BlockAt<kNbytes, full>{rows.first + first * rows.stride, blocks - 1});
        const OctetWeights b = Octet<type>::load(BlockAt<kNbytes, full>{rows.first + second * rows.stride, blocks - 1});
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            __m512i u[4], v[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const __m512i q8 = _mm512_load_si512(x[t].q8 + 64 * i);
                u[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), a.q[i], q8);
                v[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), b.q[i], q8);
            }
            dots[t].set(j, reduce_lanes<Octet<type>::kMax>(u), reduce_lanes<Octet<type>::kMax>(v));
        }
    }
    for (int t = 0; t < T; ++t) add_octet<type>(dots[t], w, x[t], blocks, sums[t]);
}

template <DType type, int T>
void gemv_tokens(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                 uint8_t* scratch) {
    constexpr int64_t kOctetBytes = dtype_info(type).block_nbytes * 256 / dtype_info(type).block_size;
    const int64_t octets = (w.cols + 255) / 256, whole = w.cols / 256, nbytes = row_nbytes(type, w.cols);
    auto* arranged = reinterpret_cast<OctetActivations*>(scratch);
    uint8_t* staging = scratch + octets * T * static_cast<int64_t>(sizeof(OctetActivations));
    for (int64_t o = 0; o < octets; ++o)
        for (int t = 0; t < T; ++t) arrange_octet<type>(x, t, o, arranged[o * T + t]);
    for (int64_t r = row_begin; r < row_end; r += kRows) {
        const int64_t count = std::min(kRows, row_end - r);
        // Fewer than 16 rows are copied; what follows them in the copy is never stored.
        if (count < kRows) std::memcpy(staging, w.row(r), static_cast<size_t>(count * nbytes));
        Rows16 rows{count < kRows ? staging : w.row(r), nbytes};
        const uint8_t* next = w.row(r) + kRows * nbytes;
        __m512 sums[T];
        for (__m512& sum : sums) sum = _mm512_setzero_ps();
        for (int64_t o = 0; o < whole; ++o, rows.first += kOctetBytes, next += kRows * kOctetBytes)
            multiply_octet<type, T, true>(rows, next, 8, arranged + o * T, sums);
        if (whole < octets) multiply_octet<type, T, false>(rows, next, w.cols / 32 % 8, arranged + whole * T, sums);
        const auto lanes = static_cast<__mmask16>((1 << count) - 1);
        for (int t = 0; t < T; ++t) _mm512_mask_storeu_ps(y + t * y_stride + r, lanes, sums[t]);
    }
}

template <DType type>
void gemv(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static constexpr MatmulKernel by_tokens[kMostTokens] = {gemv_tokens<type, 1>, gemv_tokens<type, 2>, gemv_tokens<type, 3>,
                                                            gemv_tokens<type, 4>};
    const MatmulKernel run = x.tokens <= kMostTokens ? by_tokens[x.tokens - 1] : gemm_avx512(type);
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
