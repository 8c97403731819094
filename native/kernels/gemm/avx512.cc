// AVX-512 VNNI products of quantised weights for many tokens. Start at gemm.
//
// 64 rows by 512 k (two panels of 32 rows) are unpacked once to u8, in L1, and meet every token in tiles of 8: 16 int32
// accumulators, each started at -zero * sum(activations) so that u8 weights act as signed ones. Tokens are packed first,
// tile by tile in the order of use, so a tile reads one stream at constant offsets.
// A token's float sum runs over blocks in order of k (mins of eight blocks first) whatever the tile, here and in gemv: results
// depend neither on the tiling nor on how many tokens there are.
#include "kernels/gemm/avx512.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx512.h"
#include "kernels/gemm/panel_avx512.h"
#include "kernels/simd/transpose.h"

namespace mambino {
namespace {

constexpr int64_t kSliceBlocks = 16;
constexpr int64_t kPanels = 2;

// One 32-block of T tokens: [8 groups][T][4 bytes], then per token -zero * sum (one a scale), scale, scale * sum.
template <class Format, int T>
struct Packed {
    int8_t q8[8][T][4];
    int32_t start[Format::kHalves][T];
    float scale[T];
    float min_factor[Format::kHasMin ? T : 1];
};

// One slice of an unpacked panel.
struct PanelSlice {
    uint8_t* q;
    float* scale;
    float* min;
    int64_t blocks;
};

// Where a tile's sums live: T rows of y, 32 values each as far as the masks go. Mutated.
struct Sums {
    float* y;
    int64_t stride;
    __mmask16 mask[2];
    bool are_new;  // start at zero instead of reading y

    template <int T>
    inline __attribute__((always_inline)) void load(__m512 (&sums)[T][2]) const {
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
            for (int v = 0; v < 2; ++v)
                sums[t][v] = are_new ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask[v], y + t * stride + v * 16);
    }
    template <int T>
    inline __attribute__((always_inline)) void store(const __m512 (&sums)[T][2]) const {
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
            for (int v = 0; v < 2; ++v) _mm512_mask_storeu_ps(y + t * stride + v * 16, mask[v], sums[t][v]);
    }
};

inline __m512i broadcast4(const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

// One group of 4 k, for T tokens and 32 rows.
template <int T>
inline __attribute__((always_inline)) void dot_group(const uint8_t* q, const int8_t (&x)[T][4], __m512i (&dots)[T][2]) {
    const __m512i w0 = _mm512_load_si512(q), w1 = _mm512_load_si512(q + 64);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
        const __m512i four = broadcast4(x[t]);
        dots[t][0] = _mm512_dpbusd_epi32(dots[t][0], w0, four);
        dots[t][1] = _mm512_dpbusd_epi32(dots[t][1], w1, four);
    }
}

// sums -= min * (x_scale * x_sum), for blocks [begin, end)
template <class Format, int T>
inline __attribute__((always_inline)) void subtract_mins(const PanelSlice& w, const Packed<Format, T>* x, int64_t begin,
                                                         int64_t end, __m512 (&sums)[T][2]) {
    for (int64_t b = begin; b < end; ++b) {
        const __m512 min0 = _mm512_load_ps(w.min + b * 32), min1 = _mm512_load_ps(w.min + b * 32 + 16);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
            const __m512 factor = _mm512_set1_ps(x[b].min_factor[t]);
            sums[t][0] = _mm512_fnmadd_ps(min0, factor, sums[t][0]);
            sums[t][1] = _mm512_fnmadd_ps(min1, factor, sums[t][1]);
        }
    }
}

// The block one tile further on, which is as far behind in memory as this tile is long.
template <class Block>
inline __attribute__((always_inline)) void prefetch_next(const Block* x, int64_t blocks) {
#pragma GCC unroll 8
    for (size_t line = 0; line < (sizeof(Block) + 63) / 64; ++line)
        _mm_prefetch(reinterpret_cast<const char*>(x + blocks) + 64 * line, _MM_HINT_T0);
}

// One scale a block: sums += dot * (scale * x_scale), for every eight blocks after their mins where the type has them.
template <class Format, int T>
inline __attribute__((always_inline)) void multiply_whole(const PanelSlice& w, const Packed<Format, T>* x,
                                                          __m512 (&sums)[T][2]) {
    for (int64_t b = 0; b < w.blocks; ++b) {
        if constexpr (Format::kHasMin)
            if (b % 8 == 0) subtract_mins<Format, T>(w, x, b, std::min(b + 8, w.blocks), sums);
        prefetch_next(x + b, w.blocks);
        __m512i dots[T][2];
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) dots[t][0] = dots[t][1] = _mm512_set1_epi32(x[b].start[0][t]);
#pragma GCC unroll 8
        for (int g = 0; g < 8; ++g) dot_group<T>(w.q + b * kBlockBytes + g * 128, x[b].q8[g], dots);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 scale = _mm512_load_ps(w.scale + b * 32 + v * 16);
#pragma GCC unroll 8
            for (int t = 0; t < T; ++t) {
                const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x[b].scale[t]));
                sums[t][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t][v]), both, sums[t][v]);
            }
        }
    }
}

// Two scales a block (Q6_K): half as many tokens, so that both halves' dots stay in registers.
template <class Format, int T>
inline __attribute__((always_inline)) void multiply_halves(const PanelSlice& w, const Packed<Format, T>* x,
                                                           __m512 (&sums)[T][2]) {
    for (int64_t b = 0; b < w.blocks; ++b) {
        prefetch_next(x + b, w.blocks);
        __m512i dots[2][T][2];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half)
                dots[half][t][0] = dots[half][t][1] = _mm512_set1_epi32(x[b].start[half][t]);
#pragma GCC unroll 8
        for (int g = 0; g < 8; ++g) {  // halves in turn, for twice as many independent sums
            const int group = g / 2 + g % 2 * 4;
            dot_group<T>(w.q + b * kBlockBytes + group * 128, x[b].q8[group], dots[g % 2]);
        }
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 scale0 = _mm512_load_ps(w.scale + b * 64 + v * 16);
            const __m512 scale1 = _mm512_load_ps(w.scale + b * 64 + 32 + v * 16);
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) {
                __m512 dot = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[0][t][v]), scale0);
                dot = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[1][t][v]), scale1, dot);
                sums[t][v] = _mm512_fmadd_ps(dot, _mm512_set1_ps(x[b].scale[t]), sums[t][v]);
            }
        }
    }
}

// One panel slice times T packed tokens.
template <class Format, int T>
void multiply_tile(const PanelSlice& w, const uint8_t* packed, const Sums& out) {
    const auto* x = reinterpret_cast<const Packed<Format, T>*>(packed);
    __m512 sums[T][2];
    out.load(sums);
    if constexpr (Format::kHalves == 2) multiply_halves<Format, T>(w, x, sums);
    else multiply_whole<Format, T>(w, x, sums);
    out.store(sums);
}

// T tokens of blocks [begin, begin + count) into the order of use.
template <class Format, int T>
void pack_tile(const Activations& x, int64_t token, int64_t begin, int64_t count, uint8_t* out) {
    auto* packed = reinterpret_cast<Packed<Format, T>*>(out);
    for (int64_t b = 0; b < count; ++b) {
        __m256i row[8] = {}, column[8];
        for (int t = 0; t < T; ++t) {
            const int64_t block = (token + t) * (x.cols / 32) + begin + b;
            row[t] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.q8 + block * 32));
            const int32_t low = x.sum16[2 * block], high = x.sum16[2 * block + 1];
            packed[b].start[0][t] = -Format::kZero * (Format::kHalves == 2 ? low : low + high);
            if constexpr (Format::kHalves == 2) packed[b].start[1][t] = -Format::kZero * high;
            packed[b].scale[t] = x.scale[block];
            if constexpr (Format::kHasMin) packed[b].min_factor[t] = x.scale[block] * static_cast<float>(low + high);
        }
        transpose_dwords(row, column);
        const __mmask8 tokens = (1 << T) - 1;
        for (int g = 0; g < 8; ++g) _mm256_mask_storeu_epi32(packed[b].q8[g], tokens, column[g]);
    }
}

// What depends on the number of tokens in a tile.
struct TileFunctions {
    void (*pack)(const Activations&, int64_t token, int64_t begin, int64_t count, uint8_t* out);
    void (*multiply)(const PanelSlice&, const uint8_t* packed, const Sums&);
    int64_t block_nbytes;
};

template <class Format, int... t>
const TileFunctions& tile_functions(int64_t tokens, std::integer_sequence<int, t...>) {
    static constexpr TileFunctions functions[] = {
        {pack_tile<Format, t + 1>, multiply_tile<Format, t + 1>, sizeof(Packed<Format, t + 1>)}...};
    return functions[tokens - 1];
}

inline __mmask16 first_lanes(int64_t count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

// A product of rows [row_begin, row_end) with at most kMaxTokens tokens.
template <DType type>
class Product {
  public:
    using Format = Unpack<type>;
    static constexpr int64_t kMaxTokens = 512, kFewTokens = 32;
    static constexpr int kTile = Format::kHalves == 2 ? 4 : 8;
    static constexpr int64_t kGroupRows = kPanels * kGemmPanelRows;

    Product(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
            uint8_t* scratch)
        : w_(w), row_begin_(row_begin), row_end_(row_end), x_(x), y_(y), y_stride_(y_stride) {
        for (PanelSlice& panel : panels_) {
            panel.q = scratch;
            panel.scale = reinterpret_cast<float*>(panel.q + kSliceBlocks * kBlockBytes);
            panel.min = panel.scale + kSliceBlocks * 32 * Format::kHalves;
            scratch = reinterpret_cast<uint8_t*>(panel.min + kSliceBlocks * 32);
        }
        staging_ = scratch;
        packed_ = scratch + 16 * file_offset(kSliceBlocks);
    }

    void run() {
        uint8_t* end = packed_;
        for (int64_t block = 0; block < blocks(); block += kSliceBlocks)
            for (int64_t token = 0; token < x_.tokens; token += kTile) {
                const TileFunctions& tile = functions(token);
                tile.pack(x_, token, block, slice_blocks(block), end);
                end += tile.block_nbytes * slice_blocks(block);
            }
        for (int64_t row = row_begin_; row < row_end_; row += kGroupRows) {
            const uint8_t* packed = packed_;
            next_rows_ = w_.row(row + kGroupRows);
            for (int64_t block = 0; block < blocks(); block += kSliceBlocks) {
                unpack(row, block);
                packed = multiply(row, block, packed);
            }
        }
    }

  private:
    static constexpr int64_t kFileBlocks = dtype_info(type).block_size / 32, kFileBytes = dtype_info(type).block_nbytes;

    int64_t blocks() const { return w_.cols / 32; }
    int64_t slice_blocks(int64_t block) const { return std::min(kSliceBlocks, blocks() - block); }
    int64_t panels(int64_t row) const { return row_end_ - row > kGemmPanelRows ? 2 : 1; }
    static int64_t file_offset(int64_t block) { return block / kFileBlocks * kFileBytes; }
    const TileFunctions& functions(int64_t token) const {
        const int64_t tokens = std::min<int64_t>(kTile, x_.tokens - token);
        return tile_functions<Format>(tokens, std::make_integer_sequence<int, kTile>{});
    }

    void unpack(int64_t row, int64_t block) {
        for (int64_t i = 0; i < 2 * panels(row); ++i) {
            PanelSlice& panel = panels_[i / 2];
            panel.blocks = slice_blocks(block);
            const int64_t first = row + 16 * i;
            const Rows16 whole{w_.row(first) + file_offset(block), row_nbytes(type, w_.cols)};
            const Rows16 rows = first + 16 <= row_end_ ? whole : staged_rows(first, block);
            for (int64_t b = 0; b < panel.blocks; b += kFileBlocks) {
                prefetch_ahead(first, file_offset(block + b));
                Format::block(rows, file_offset(b),
                              {panel.q + b * kBlockBytes + i % 2 * 64,
                               panel.scale + b * 32 * Format::kHalves + i % 2 * 16, panel.min + b * 32 + i % 2 * 16});
            }
        }
    }

    // A copy of this slice of fewer than 16 rows; what follows them in the copy is never stored.
    Rows16 staged_rows(int64_t first, int64_t block) {
        const int64_t nbytes = file_offset(slice_blocks(block));
        for (int64_t r = first; r < row_end_; ++r)
            std::memcpy(staging_ + (r - first) * nbytes, w_.row(r) + file_offset(block), static_cast<size_t>(nbytes));
        return {staging_, nbytes};
    }

    // Weights that a later unpack will read. With few tokens the next rows, in the order in which they lie, because only
    // such a stream runs at full memory speed; with many tokens, which would evict those, these 16 rows' next slice.
    void prefetch_ahead(int64_t first, int64_t offset) {
        const auto prefetch = [](const uint8_t* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1); };
        if (x_.tokens <= kFewTokens) {
            for (int64_t line = 0; line < 16 * kFileBytes; line += 64) prefetch(next_rows_ + line);
            next_rows_ += 16 * kFileBytes;
            return;
        }
        const int64_t nbytes = row_nbytes(type, w_.cols);
        offset += file_offset(kSliceBlocks);
        if (offset >= nbytes) offset += (kGroupRows - 1) * nbytes;
        for (int i = 0; i < 16; ++i)
            for (int64_t line = 0; line < kFileBytes; line += 64) prefetch(w_.row(first) + i * nbytes + offset + line);
    }

    // Every tile of tokens with this slice; returns the packed tokens of the next.
    const uint8_t* multiply(int64_t row, int64_t block, const uint8_t* packed) {
        for (int64_t token = 0; token < x_.tokens; token += kTile) {
            const TileFunctions& tile = functions(token);
            prefetch_sums(row, token + kTile);
            for (int64_t i = 0; i < panels(row); ++i) {
                const int64_t first = row + i * kGemmPanelRows, rows = row_end_ - first;
                const Sums sums{y_ + token * y_stride_ + first, y_stride_, {first_lanes(rows), first_lanes(rows - 16)},
                                block == 0};
                tile.multiply(panels_[i], packed, sums);
            }
            packed += tile.block_nbytes * slice_blocks(block);
        }
        return packed;
    }

    // The sums of the tile after this one: every token's are in a page of their own.
    void prefetch_sums(int64_t row, int64_t token) const {
        for (int64_t t = token; t < std::min(token + kTile, x_.tokens); ++t)
            for (int64_t i = 0; i < kGroupRows; i += 16)
                _mm_prefetch(reinterpret_cast<const char*>(y_ + t * y_stride_ + row + i), _MM_HINT_T0);
    }

    const Matrix& w_;
    int64_t row_begin_, row_end_;
    const Activations& x_;
    float* y_;
    int64_t y_stride_;
    PanelSlice panels_[kPanels];
    uint8_t* staging_;  // 16 rows of one slice of file blocks
    uint8_t* packed_;
    const uint8_t* next_rows_ = nullptr;  // how far the rows after this group are prefetched
};

template <DType type>
void gemm(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    constexpr int64_t kMaxTokens = Product<type>::kMaxTokens;
    for (int64_t token = 0; token < x.tokens; token += kMaxTokens) {
        Activations part = x;
        part.tokens = std::min(kMaxTokens, x.tokens - token);
        part.q8 += token * x.cols, part.scale += token * (x.cols / 32), part.sum16 += token * (x.cols / 16);
        Product<type>(w, row_begin, row_end, part, y + token * y_stride, y_stride, scratch).run();
    }
}

constexpr DType kQuantized[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                                DType::kIQ4_NL, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

}  // namespace

MatmulKernel gemm_avx512(DType type) {
    switch (type) {
        case DType::kQ8_0: return gemm<DType::kQ8_0>;
        case DType::kQ4_0: return gemm<DType::kQ4_0>;
        case DType::kQ4_1: return gemm<DType::kQ4_1>;
        case DType::kQ5_0: return gemm<DType::kQ5_0>;
        case DType::kQ5_1: return gemm<DType::kQ5_1>;
        case DType::kIQ4_NL: return gemm<DType::kIQ4_NL>;
        case DType::kQ4_K: return gemm<DType::kQ4_K>;
        case DType::kQ5_K: return gemm<DType::kQ5_K>;
        case DType::kQ6_K: return gemm<DType::kQ6_K>;
        default: return nullptr;
    }
}

void fill_gemm_avx512(KernelTable& table) {
    set_gemm_float<VectorAvx512>(table, Isa::kAvx512, std::make_integer_sequence<int, kNumDTypes>{});
    for (DType type : kQuantized) table.gemm[static_cast<int>(type)].set(gemm_avx512(type), Isa::kAvx512);
}

}  // namespace mambino
