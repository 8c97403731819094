// AVX-512 VNNI products of quantised weights for many tokens. Start at Product.
//
// 64 rows by 512 k (two panels of 32 rows) are unpacked once to u8, in L1, and meet every token in tiles of up to 8: 16 int32
// accumulators. While tiles are multiplied, weights that are unpacked later are prefetched, so that memory is read evenly.
// A token's float sum runs over blocks in order of k whatever the tile, here and in gemv: results depend neither on the tiling
// nor on how many tokens there are.
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

constexpr int64_t kPanels = 2;
constexpr int64_t kGroupRows = kPanels * kGemmPanelRows;
constexpr int64_t kBlockBytes = 8 * 2 * 64;  // 32 k of 32 rows: 8 groups of 4 k, 2 vectors of 16 rows

// One slice of an unpacked panel. Block b: q + b * kBlockBytes + group * 128; floats every 32 (two row vectors), or 64 where
// 16 values share a scale.
struct PanelSlice {
    uint8_t* q;
    float* scale;
    float* min;
    int64_t blocks;
};

// A sink of Unpack: where 16 rows of a file block go.
struct PanelSink {
    uint8_t* q;
    float *scales, *mins;

    inline __attribute__((always_inline)) void scale(int i, __m512 v) { _mm512_store_ps(scales + 32 * i, v); }
    inline __attribute__((always_inline)) void min(int block, __m512 v) { _mm512_store_ps(mins + 32 * block, v); }
    template <int block, int h>
    inline __attribute__((always_inline)) void half(const __m512i (&v)[4]) {
        for (int j = 0; j < 4; ++j) _mm512_store_si512(q + block * kBlockBytes + (4 * h + j) * 128, v[j]);
    }
};

// A tile's sums: 32 values of each token, from (null: zero) and to where they go, there as far as the masks say.
struct Sums {
    const float* from;
    int64_t from_stride;
    float* to;
    int64_t to_stride;
    __mmask16 mask[2];

    template <int T>
    inline __attribute__((always_inline)) void load(__m512 (&sums)[T][2]) const {
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
            for (int v = 0; v < 2; ++v) sums[t][v] = from ? _mm512_load_ps(from + t * from_stride + v * 16) : _mm512_setzero_ps();
    }
    template <int T>
    inline __attribute__((always_inline)) void store(const __m512 (&sums)[T][2]) const {
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
            for (int v = 0; v < 2; ++v) _mm512_mask_storeu_ps(to + t * to_stride + v * 16, mask[v], sums[t][v]);
    }
};

// Memory to prefetch in the course of a tile: so many cache lines a block.
struct Ahead {
    const uint8_t* at;
    int64_t lines_per_block;
};

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

// sums += one block of a panel times T tokens.
template <class Format, int T>
inline __attribute__((always_inline)) void multiply_block(const uint8_t* q, const float* scale, const float* min,
                                                          const PackedBlock<Format, T>& x, __m512 (&sums)[T][2]) {
    constexpr int kGroups = 8 / Format::kHalves;
#pragma GCC unroll 2
    for (int s = 0; s < Format::kHalves; ++s) {
        __m512i dots[T][2];
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) dots[t][0] = dots[t][1] = _mm512_set1_epi32(x.start[s][t]);
#pragma GCC unroll 8
        for (int g = s * kGroups; g < (s + 1) * kGroups; ++g) dot_group<T>(q + g * 128, x.q8[g], dots);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 w = _mm512_load_ps(scale + s * 32 + v * 16), origin = _mm512_mul_ps(w, _mm512_set1_ps(kDotOrigin));
#pragma GCC unroll 8
            for (int t = 0; t < T; ++t) sums[t][v] = add_scaled(dots[t][v], w, origin, x.scale[t], sums[t][v]);
        }
    }
    if constexpr (Format::kHasMin)
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const __m512 m = _mm512_load_ps(min + v * 16);
#pragma GCC unroll 8
            for (int t = 0; t < T; ++t) sums[t][v] = subtract_min(m, x.min_factor[t], sums[t][v]);
        }
}

// One panel slice times T packed tokens.
template <class Format, int T>
void multiply_tile(const PanelSlice& w, const uint8_t* packed, const Ahead& ahead, const Sums& out) {
    using Block = PackedBlock<Format, T>;
    const auto* x = reinterpret_cast<const Block*>(packed);
    const auto* next = reinterpret_cast<const char*>(x + w.blocks);  // the next tile lies behind this one
    const auto* weights = reinterpret_cast<const char*>(ahead.at);
    const int64_t lines = ahead.lines_per_block;
    __m512 sums[T][2];
    out.load(sums);
    for (int64_t b = 0; b < w.blocks; ++b, next += sizeof(Block)) {
#pragma GCC unroll 8
        for (size_t line = 0; line < sizeof(Block); line += 64) _mm_prefetch(next + line, _MM_HINT_T0);
        for (int64_t i = 0; i < lines; ++i, weights += 64) _mm_prefetch(weights, _MM_HINT_T1);
        const int64_t i = Format::nth(b);
        multiply_block<Format, T>(w.q + i * kBlockBytes, w.scale + i * 32 * Format::kHalves, w.min + i * 32, x[i], sums);
    }
    out.store(sums);
}

using TileFunction = void (*)(const PanelSlice&, const uint8_t* packed, const Ahead&, const Sums&);

template <class Format, int... t>
TileFunction tile_function(int64_t tokens, std::integer_sequence<int, t...>) {
    static constexpr TileFunction by_size[] = {multiply_tile<Format, t + 1>...};
    return by_size[tokens - 1];
}

inline __mmask16 first_lanes(int64_t count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

// A product of rows [row_begin, row_end).
template <DType type>
class Product {
  public:
    using Format = Unpack<type>;

    Product(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
            uint8_t* scratch)
        : w_(w), row_begin_(row_begin), row_end_(row_end), tiles_{x.tokens}, x_(x.packed), y_(y), y_stride_(y_stride) {
        for (PanelSlice& panel : panels_) {
            panel.q = scratch;
            panel.scale = reinterpret_cast<float*>(panel.q + kSliceBlocks * kBlockBytes);
            panel.min = panel.scale + kSliceBlocks * 32 * Format::kHalves;
            scratch = reinterpret_cast<uint8_t*>(panel.min + kSliceBlocks * 32);
        }
        sums_ = reinterpret_cast<float*>(scratch);
        staging_ = scratch + x.tokens * kGroupRows * static_cast<int64_t>(sizeof(float));
    }

    void run() {
        for (int64_t row = row_begin_; row < row_end_; row += kGroupRows) {
            start_ahead(row);
            for (int64_t block = 0; block < blocks(); block += kSliceBlocks) {
                unpack(row, block);
                for (int64_t tile = 0; tile < tiles_.count(); ++tile) multiply(row, block, tile);
            }
        }
    }

  private:
    static constexpr int64_t kFileBlocks = dtype_info(type).block_size / 32, kFileBytes = dtype_info(type).block_nbytes;

    int64_t blocks() const { return w_.cols / 32; }
    int64_t slice_blocks(int64_t block) const { return std::min(kSliceBlocks, blocks() - block); }
    int64_t panels(int64_t row) const { return row_end_ - row > kGemmPanelRows ? kPanels : 1; }
    static int64_t file_offset(int64_t block) { return block / kFileBlocks * kFileBytes; }

    void unpack(int64_t row, int64_t block) {
        for (int64_t i = 0; i < 2 * panels(row); ++i) {
            PanelSlice& panel = panels_[i / 2];
            panel.blocks = slice_blocks(block);
            const int64_t first = row + 16 * i;
            const Rows16 whole{w_.row(first) + file_offset(block), row_nbytes(type, w_.cols)};
            const Rows16 rows = first + 16 <= row_end_ ? whole : staged_rows(first, block);
            for (int64_t b = 0; b < panel.blocks; b += kFileBlocks) {
                PanelSink sink{panel.q + b * kBlockBytes + i % 2 * 64, panel.scale + b * 32 * Format::kHalves + i % 2 * 16,
                               panel.min + b * 32 + i % 2 * 16};
                Format::block(rows, file_offset(b), sink);
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

    // While this group is multiplied the next one's rows are prefetched, in the order in which they lie: such a stream runs at
    // full memory speed.
    void start_ahead(int64_t row) {
        const int64_t nbytes = row_nbytes(type, w_.cols);
        ahead_ = w_.row(row + kGroupRows), ahead_end_ = ahead_ + kGroupRows * nbytes;
        const int64_t lines = kGroupRows * nbytes / 64, passes = tiles_.count() * panels(row) * blocks();
        lines_per_block_ = (lines + passes - 1) / passes;
    }

    void multiply(int64_t row, int64_t block, int64_t tile) {
        const int64_t token = tiles_.first(tile), tokens = tiles_.size(tile), count = slice_blocks(block);
        const TileFunction run = tile_function<Format>(tokens, std::make_integer_sequence<int, kTileTokens>{});
        const bool is_last = block + kSliceBlocks >= blocks();
        for (int64_t i = 0; i < panels(row); ++i) {
            const int64_t first = row + i * kGemmPanelRows, rows = row_end_ - first;
            float* partial = sums_ + token * kGroupRows + i * kGemmPanelRows;
            Sums sums{block ? partial : nullptr, kGroupRows, partial, kGroupRows, {0xffff, 0xffff}};
            if (is_last) sums.to = y_ + token * y_stride_ + first, sums.to_stride = y_stride_;
            if (is_last) sums.mask[0] = first_lanes(rows), sums.mask[1] = first_lanes(rows - 16);
            const Ahead ahead{ahead_, ahead_ < ahead_end_ ? lines_per_block_ : 0};
            run(panels_[i], x_ + packed_offset<Format>(tiles_, tile, block, blocks()), ahead, sums);
            ahead_ += 64 * ahead.lines_per_block * count;
        }
    }

    const Matrix& w_;
    int64_t row_begin_, row_end_;
    Tiles tiles_;
    const uint8_t* x_;
    float* y_;
    int64_t y_stride_;
    PanelSlice panels_[kPanels];
    float* sums_;       // [tokens][kGroupRows], of the slices so far
    uint8_t* staging_;  // 16 rows of one slice of file blocks
    const uint8_t *ahead_ = nullptr, *ahead_end_ = nullptr;  // what of the next rows is not yet prefetched
    int64_t lines_per_block_ = 0;
};

template <DType type>
void gemm(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
          uint8_t* scratch) {
    Product<type>(w, row_begin, row_end, x, y, y_stride, scratch).run();
}

template <DType... types>
void set_kernels(KernelTable& table) {
    (table.gemm[static_cast<int>(types)].set(gemm<types>, Isa::kAvx512), ...);
}

}  // namespace

void fill_gemm_avx512(KernelTable& table) {
    set_gemm_float<VectorAvx512>(table, Isa::kAvx512, std::make_integer_sequence<int, kNumDTypes>{});
    set_kernels<DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ4_K,
                DType::kQ5_K, DType::kQ6_K>(table);
}

}  // namespace mambino
