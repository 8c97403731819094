// AVX2 products of weights with up to 32 tokens; internal linkage, for gemm. Start at multiply_few.
//
// 16 rows advance together, 128 values (a quad of 32-blocks) at a time: unpacked into the first-level cache, met by every
// token, and forgotten, while the next rows are on their way from memory. With more tokens, longer slices are faster.
#pragma once

#include <algorithm>

#include "kernels/gemm/tile_avx2.h"

namespace mambino {
namespace {

constexpr int64_t kFewTokens = 8 * kTile, kQuadBlocks = 4;

// 16 rows by all tokens. terms: of every quad, a tile after another. next: prefetched meanwhile, as many bytes as the rows have.
template <DType type>
void multiply_rows(const uint8_t* const* rows, const uint8_t* next, int64_t nbytes, int64_t blocks, int64_t tokens,
                   const TileTerms<kQuadBlocks>* terms, float (*sums)[2][8]) {
    using Format = Quad<type>;
    const int64_t quads = (blocks + kQuadBlocks - 1) / kQuadBlocks;
    Panel<kQuadBlocks> panel;
    for (int64_t quad = 0; quad < quads; ++quad) {
        for (int64_t line = nbytes * quad / quads / 64 * 64; line < nbytes * (quad + 1) / quads; line += 64)
            _mm_prefetch(reinterpret_cast<const char*>(next + line), _MM_HINT_T1);
        for (int v = 0; v < 2; ++v) unpack_quad<type>(rows + 8 * v, quad, blocks, 0, v, panel);
        const int64_t count = std::min(kQuadBlocks, blocks - quad * kQuadBlocks);
        for (int64_t first = 0; first < tokens; first += kTile, ++terms)
            kMultiplyTile<Format, kQuadBlocks>[std::min(kTile, tokens - first) - 1](panel, count, *terms, sums + first);
    }
}

template <DType type>
void multiply_few(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                  uint8_t* scratch) {
    const int64_t blocks = w.cols / 32, nbytes = kPanelRows * row_nbytes(type, w.cols);
    auto* terms = reinterpret_cast<TileTerms<kQuadBlocks>*>(scratch);
    int64_t tile = 0;
    for (int64_t block = 0; block < blocks; block += kQuadBlocks)
        for (int64_t first = 0; first < x.tokens; first += kTile, ++tile)
            for (int64_t t = 0; t < std::min(kTile, x.tokens - first); ++t)
                set_terms<Quad<type>>(x, first + t, block, std::min(kQuadBlocks, blocks - block), t, terms[tile]);
    for (int64_t r = row_begin; r < row_end; r += kPanelRows) {
        const uint8_t* rows[kPanelRows];  // beyond the end: the last row again, never stored
        for (int64_t i = 0; i < kPanelRows; ++i) rows[i] = w.row(std::min(r + i, row_end - 1));
        float sums[kFewTokens][2][8] = {};
        multiply_rows<type>(rows, w.row(r) + nbytes, nbytes, blocks, x.tokens, terms, sums);
        for (int64_t t = 0; t < x.tokens; ++t) std::copy_n(sums[t][0], std::min(kPanelRows, row_end - r), y + t * y_stride + r);
    }
}

}  // namespace
}  // namespace mambino
