// AVX2 products of weights for many tokens. Start at gemm.
//
// 16 rows by 512 k are unpacked into bytes, 8 rows by 4 consecutive k a register, and meet every token of a turn in tiles
// of 4 tokens by 16 rows. Few tokens meet shorter slices: there is little to multiply while the next weights are read.
#include <algorithm>
#include <utility>

#include "kernels/gemm/few_avx2.h"
#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx2.h"
#include "kernels/gemm/tile_avx2.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kSliceBlocks = 16, kRows = kPanelRows;
constexpr int64_t kTurn = 128;  // tokens that meet all panels before the next ones do
constexpr int64_t kNearBytes = int64_t{192} << 10;  // of tokens that stay in a second-level cache beside what else is there

// Tokens [first, last) with one panel slice: y[t][0 .. rows) = or += products.
template <class Format>
void multiply_panel(const Panel<kSliceBlocks>& panel, int64_t block, int64_t blocks, const Activations& x, int64_t first, int64_t last,
                    int64_t rows, float* y, int64_t y_stride) {
    const auto nbytes = static_cast<size_t>(rows) * sizeof(float);
    TileTerms<kSliceBlocks> terms;
    float sums[kTile][2][8];
    for (int64_t token = first; token < last; token += kTile) {
        const int64_t count = std::min(kTile, last - token);
        std::memset(sums, 0, sizeof sums);
        for (int64_t t = 0; t < count; ++t) {
            set_terms<Format>(x, token + t, block, blocks, t, terms);
            if (block) std::memcpy(sums[t], y + (token + t) * y_stride, nbytes);
        }
        kMultiplyTile<Format, kSliceBlocks>[count - 1](panel, blocks, terms, sums);
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
    if (x.tokens <= kFewTokens) return multiply_few<type>(w, row_begin, row_end, x, y, y_stride, scratch);
    static_assert(sizeof(Panel<kSliceBlocks>) <= 65536);
    auto& panel = *reinterpret_cast<Panel<kSliceBlocks>*>(scratch);
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
