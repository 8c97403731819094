// AVX-512 VNNI products of quantised weights with 1 .. 4 tokens, reading the file's blocks in place. Start at gemv.
//
// 16 rows advance together, a file block at a time: its bytes are transposed in registers, so that one lane is one row, and
// meet every token at once. Float sums run over blocks in the order and with the operations of gemm, so a product does not
// depend on the number of tokens.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx512.h"
#include "kernels/gemm/packed_avx512.h"
#include "kernels/gemm/unpack_avx512.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kRows = 16;

// A sink of Unpack: adds one file block of 16 rows times T tokens to their sums, a 32-block as soon as it is complete.
// x: the tokens' first 32-block.
template <DType type, int T>
class BlockDots {
  public:
    using Format = Unpack<type>;
    using Packed = PackedBlock<Format, T>;
    static constexpr int kBlocks = dtype_info(type).block_size / 32;

    BlockDots(const Packed* x, __m512 (&sums)[T]) : x_(x), sums_(sums) {}

    inline __attribute__((always_inline)) void scale(int i, __m512 v) { scale_[i] = v; }
    inline __attribute__((always_inline)) void min(int block, __m512 v) { min_[block] = v; }
    template <int block, int h>
    inline __attribute__((always_inline)) void half(const __m512i (&v)[4]) {
        constexpr int s = Format::kHalves == 2 ? h : 0;
        const Packed& x = x_[block];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            __m512i dot = h == s ? _mm512_set1_epi32(x.start[s][t]) : dots_[block][s][t];
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) dot = _mm512_dpbusd_epi32(dot, v[j], broadcast4(x.q8[4 * h + j][t]));
            dots_[block][s][t] = dot;
        }
        if constexpr (h == 1) add<block>(x);
    }

  private:
    template <int block>
    inline __attribute__((always_inline)) void add(const Packed& x) {
#pragma GCC unroll 2
        for (int s = 0; s < Format::kHalves; ++s) {
            const __m512 scale = scale_[block * Format::kHalves + s], origin = _mm512_mul_ps(scale, _mm512_set1_ps(kDotOrigin));
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) sums_[t] = add_scaled(dots_[block][s][t], scale, origin, x.scale[t], sums_[t]);
        }
        if constexpr (Format::kHasMin)
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) sums_[t] = subtract_min(min_[block], x.min_factor[t], sums_[t]);
    }

    const Packed* x_;
    __m512 (&sums_)[T];
    __m512i dots_[kBlocks][Format::kHalves][T];
    __m512 scale_[kBlocks * Format::kHalves], min_[kBlocks];
};

// sums = 16 rows times T tokens. next: what is to be prefetched meanwhile, as many bytes as the rows have.
template <DType type, int T>
inline __attribute__((always_inline)) void dot_rows(Rows16 rows, const uint8_t* next, int64_t blocks, const uint8_t* packed,
                                                    __m512 (&sums)[T]) {
    constexpr int64_t kNbytes = dtype_info(type).block_nbytes;
    using Dots = BlockDots<type, T>;
    const auto* x = reinterpret_cast<const typename Dots::Packed*>(packed);
    for (int64_t offset = 0; offset < blocks * kNbytes; offset += kNbytes, x += Dots::kBlocks, next += kRows * kNbytes) {
        for (int64_t line = 0; line < kRows * kNbytes; line += 64)
            _mm_prefetch(reinterpret_cast<const char*>(next + line), _MM_HINT_T1);
        Dots dots(x, sums);
        Unpack<type>::block(rows, offset, dots);
    }
}

template <DType type, int T>
void gemv_tokens(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                 uint8_t* scratch) {
    const int64_t nbytes = row_nbytes(type, w.cols), blocks = w.cols / dtype_info(type).block_size;
    for (int64_t r = row_begin; r < row_end; r += kRows) {
        const int64_t count = std::min(kRows, row_end - r);
        // Fewer than 16 rows are copied; what follows them in the copy is never stored.
        if (count < kRows) std::memcpy(scratch, w.row(r), static_cast<size_t>(count * nbytes));
        __m512 sums[T];
        for (__m512& sum : sums) sum = _mm512_setzero_ps();
        dot_rows<type, T>({count < kRows ? scratch : w.row(r), nbytes}, w.row(r) + kRows * nbytes, blocks, x.packed, sums);
        const auto lanes = static_cast<__mmask16>((1 << count) - 1);
        for (int t = 0; t < T; ++t) _mm512_mask_storeu_ps(y + t * y_stride + r, lanes, sums[t]);
    }
}

template <DType type>
void gemv(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    static constexpr MatmulKernel by_tokens[kGemvMaxTokens] = {gemv_tokens<type, 1>, gemv_tokens<type, 2>, gemv_tokens<type, 3>,
                                                               gemv_tokens<type, 4>};
    by_tokens[x.tokens - 1](w, row_begin, row_end, x, y, y_stride, scratch);
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemv[static_cast<int>(types)].set(gemv<types>, Isa::kAvx512), ...);
    (table.pack[static_cast<int>(types)].set(pack<Unpack<types>>, Isa::kAvx512), ...);
}

}  // namespace

void fill_gemv_avx512(KernelTable& table) {
    set_gemv_float<VectorAvx512>(table, Isa::kAvx512, std::make_integer_sequence<int, kNumDTypes>{});
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
