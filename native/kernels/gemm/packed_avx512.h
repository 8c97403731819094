// The other operand of the AVX-512 products: activations of up to eight tokens in the order in which a tile reads them, and
// how one block's integer dots become part of a float sum. gemv and gemm share both, so their sums are the same bits.
//
// Only for gemv/avx512.cc and gemm/avx512.cc: everything has internal linkage. Start at PackedBlock.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/simd/transpose.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kSliceBlocks = 16;  // 32-blocks that a panel of gemm holds

// Every integer dot starts at the bits of this float (1.5 * 2^23): read as a float, the register then is kDotOrigin + dot,
// exactly, as |dot| < 2^22. That saves converting: dot * w = fma(register, w, -kDotOrigin * w) with one rounding, because
// weight scales have at most 19 significant bits and kDotOrigin * w is exact.
constexpr float kDotOrigin = 12582912.0f;
constexpr int32_t kDotOriginBits = 0x4b400000;

// One 32-block of T tokens. start: kDotOriginBits - zero * (sum of a scale's activations), which makes u8 weights act as signed.
template <class Format, int T>
struct PackedTerms {
    int8_t q8[8][T][4];  // groups of 4 k
    int32_t start[Format::kHalves][T];
    float scale[T];
};
template <class Format, int T>
struct PackedTermsWithMin : PackedTerms<Format, T> {
    float min_factor[T];  // scale * sum of 32
};
template <class Format, int T>
using PackedBlock = std::conditional_t<Format::kHasMin, PackedTermsWithMin<Format, T>, PackedTerms<Format, T>>;

// Bytes of one token's block: a tile of T tokens takes T times as many.
template <class Format>
constexpr int64_t kPackedBytes = sizeof(PackedBlock<Format, 1>);

// Tokens divided into as few tiles of up to kTileTokens as possible, of sizes that differ by one at most.
struct Tiles {
    int64_t tokens;
    int64_t count() const { return token_tiles(tokens); }
    int64_t first(int64_t i) const { return i * (tokens / count()) + std::min(i, tokens % count()); }
    int64_t size(int64_t i) const { return first(i + 1) - first(i); }
};

// Where the block of a tile lies: slice by slice, in each tile by tile.
template <class Format>
inline int64_t packed_offset(const Tiles& tiles, int64_t tile, int64_t block, int64_t blocks) {
    const int64_t slice = block / kSliceBlocks * kSliceBlocks, in_slice = std::min(kSliceBlocks, blocks - slice);
    return kPackedBytes<Format> * (slice * tiles.tokens + in_slice * tiles.first(tile) + (block - slice) * tiles.size(tile));
}

inline __attribute__((always_inline)) __m512i broadcast4(const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

// sum += dot * scale * x_scale; origin is kDotOrigin * scale.
inline __attribute__((always_inline)) __m512 add_scaled(__m512i dot, __m512 scale, __m512 origin, float x_scale, __m512 sum) {
    return _mm512_fmadd_ps(_mm512_fmsub_ps(_mm512_castsi512_ps(dot), scale, origin), _mm512_set1_ps(x_scale), sum);
}
inline __attribute__((always_inline)) __m512 subtract_min(__m512 min, float factor, __m512 sum) {
    return _mm512_fnmadd_ps(min, _mm512_set1_ps(factor), sum);
}

template <class Format, int T>
void pack_tile(const Activations& x, const Tiles& tiles, int64_t tile, uint8_t* out) {
    const int64_t blocks = x.cols / 32, token = tiles.first(tile);
    for (int64_t b = 0; b < blocks; ++b) {
        auto& packed = *reinterpret_cast<PackedBlock<Format, T>*>(out + packed_offset<Format>(tiles, tile, b, blocks));
        __m256i row[8] = {}, column[8];
        for (int t = 0; t < T; ++t) {
            const int64_t block = (token + t) * blocks + b;
            row[t] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.q8 + block * 32));
            const int32_t low = x.sum16[2 * block], high = x.sum16[2 * block + 1];
            packed.start[0][t] = kDotOriginBits - Format::kZero * (Format::kHalves == 2 ? low : low + high);
            if constexpr (Format::kHalves == 2) packed.start[1][t] = kDotOriginBits - Format::kZero * high;
            packed.scale[t] = x.scale[block];
            if constexpr (Format::kHasMin) packed.min_factor[t] = x.scale[block] * static_cast<float>(low + high);
        }
        transpose_dwords(row, column);
        for (int g = 0; g < 8; ++g) _mm256_mask_storeu_epi32(packed.q8[g], (1 << T) - 1, column[g]);
    }
}

template <class Format, int... t>
void pack_tiles(const Activations& x, int64_t tile_begin, int64_t tile_end, uint8_t* out, std::integer_sequence<int, t...>) {
    static constexpr void (*by_size[])(const Activations&, const Tiles&, int64_t, uint8_t*) = {pack_tile<Format, t + 1>...};
    const Tiles tiles{x.tokens};
    for (int64_t i = tile_begin; i < tile_end; ++i) by_size[tiles.size(i) - 1](x, tiles, i, out);
}

// The kernel of KernelTable::pack.
template <class Format>
void pack(const Activations& x, int64_t tile_begin, int64_t tile_end, uint8_t* out) {
    pack_tiles<Format>(x, tile_begin, tile_end, out, std::make_integer_sequence<int, kTileTokens>{});
}

}  // namespace
}  // namespace mambino
