// Every kernel of the engine as one struct of function pointers, chosen once when a model is opened.
//
// Kernels are single-threaded and work on a row, head or channel range; nn/ divides ranges over threads.
// Each op has a short reference twin (reference.cc) that judges the fast ones. Rows are contiguous unless a stride says
// otherwise; strides and counts are in elements. No kernel allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/blocks.h"

namespace mambino {

enum class Isa { kReference, kAvx2, kAvx512 };  // kAvx512 means F, BW, DQ, VL and VNNI
const char* isa_name(Isa isa);

// One weight matrix as it lies in the file: rows x cols, row-major, each row row_nbytes(type, cols) bytes.
struct Matrix {
    DType type;
    int64_t rows;
    int64_t cols;
    const uint8_t* data;

    const uint8_t* row(int64_t r) const { return data + r * row_nbytes(type, cols); }
};

// The right-hand side of a product: T token rows of cols values. Float weights read values; quantised weights read
// q8/scale/sum16, filled by quantize_q8: values[t][k] ~ scale[t][k / 32] * q8[t][k], sum16[t][k / 16] = sum of 16 q8.
struct Activations {
    int64_t tokens;
    int64_t cols;
    const float* values;   // [T][values_stride]
    int64_t values_stride;
    const int8_t* q8;      // [T][cols]
    const float* scale;    // [T][cols / 32]
    const int32_t* sum16;  // [T][cols / 16]
    const uint8_t* packed = nullptr;  // the same, rearranged by KernelTable::pack of the weights' type, if that is set
};

// y[t][r] = sum_k W[r][k] x[t][k] for row_begin <= r < row_end. y points at row 0 of token 0. scratch: 64-byte aligned,
// gemm_scratch_nbytes(w.cols) bytes, for gemv and gemm alike.
using MatmulKernel = void (*)(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y,
                              int64_t y_stride, uint8_t* scratch);

constexpr int64_t kKeyBlock = 16;     // tokens a block of cached keys
constexpr int64_t kPageTokens = 256;  // tokens a page of cached keys and values
constexpr int64_t kKvGroup = 32;      // values that share a scale in a q8 cache

// How keys and values are stored. q8: int8 codes, and behind those of a head a float16 scale per kKvGroup of its values: a head
// of a block of keys is codes [head_dim][kKeyBlock], scales [groups][kKeyBlock]; of a value codes [head_dim], scales [groups].
enum class KvType { kFloat32, kFloat16, kQ8 };

constexpr int64_t kv_groups(int64_t head_dim) { return (head_dim + kKvGroup - 1) / kKvGroup; }
// Bytes of one head's key or value of one token.
constexpr int64_t kv_head_nbytes(KvType type, int64_t head_dim) {
    return type == KvType::kQ8 ? head_dim + 2 * kv_groups(head_dim) : head_dim * (type == KvType::kFloat16 ? 2 : 4);
}

// One head's keys and values, in pages of kPageTokens tokens each. Offsets: bytes from a page's start to the head's first
// block of keys and first value. Strides: elements from a block of keys, or a token's value, to the next.
template <class Element>
struct CachedHead {
    const uint8_t* const* pages;
    int64_t key_offset, key_block_stride, value_offset, value_stride;

    // The block of keys that holds token, whose lane is token % kKeyBlock.
    const Element* key_block(int64_t token) const {
        return reinterpret_cast<const Element*>(pages[token / kPageTokens] + key_offset) + token % kPageTokens / kKeyBlock * key_block_stride;
    }
    const Element* value(int64_t token) const {
        return reinterpret_cast<const Element*>(pages[token / kPageTokens] + value_offset) + token % kPageTokens * value_stride;
    }
};

template <class Element>
using AttentionKernel = void (*)(const float* q, int64_t q_stride, const CachedHead<Element>& cache, int64_t position, int64_t tokens,
                                 int64_t group, int64_t head_dim, float scale, float* out, int64_t out_stride, float* scratch);

constexpr int64_t kGemvMaxTokens = 4;    // gemv takes 1..4 tokens; from five on, unpacking panels costs less
constexpr int64_t kGemmMaxTokens = 512;  // gemm 1..512
constexpr int64_t kGemmPanelRows = 32;   // gemm ranges start at multiples of this; the last one may be ragged
constexpr int64_t kTileTokens = 8;       // tokens are packed in tiles of up to this many

// Bytes of scratch that gemv and gemm need for matrices of this width, any type, any ISA.
size_t gemm_scratch_nbytes(int64_t cols);

constexpr int64_t token_tiles(int64_t tokens) { return (tokens + kTileTokens - 1) / kTileTokens; }
// Most bytes that pack writes: 8 bits a value, and four words per 32.
constexpr int64_t packed_nbytes(int64_t tokens, int64_t cols) { return tokens * (cols / 32) * 48; }

// Kernel of one op, with the instruction set it was written for (for `mambino info --kernels`).
template <class Function>
struct Entry {
    Function run = nullptr;
    Isa isa = Isa::kReference;
    void set(Function function, Isa from) { run = function, isa = from; }
};

struct KernelTable {
    // gemv dots file blocks in place, a few tokens at a time; gemm unpacks a panel of rows once, for many tokens.
    Entry<MatmulKernel> gemv[kNumDTypes];
    Entry<MatmulKernel> gemm[kNumDTypes];
    // What the two above need first, once for a matrix, unless null: tiles [begin, end) of x into packed, packed_nbytes in all.
    Entry<void (*)(const Activations& x, int64_t tile_begin, int64_t tile_end, uint8_t* packed)> pack[kNumDTypes];
    // The same products with float32 activations for any type: rows are decoded to float32 first. Slower, closer.
    Entry<MatmulKernel> gemv_float[kNumDTypes];
    Entry<MatmulKernel> gemm_float[kNumDTypes];

    // out[k] = decoded row, float32.
    Entry<void (*)(const uint8_t* row, int64_t cols, float* out)> decode_row[kNumDTypes];

    // q8, scale, sum16 of cols values (cols a multiple of 32); scale = max |x| / 127, rounding to nearest even.
    Entry<void (*)(const float* x, int64_t cols, int8_t* q8, float* scale, int32_t* sum16)> quantize_q8;

    // out = x * weight / sqrt(mean(x^2) + eps) over cols.
    Entry<void (*)(const float* x, const float* weight, int64_t cols, float eps, float* out)> rms_norm;
    // u = y * silu(z), then RMS-normalised over groups of group_size, times weight; out may be y.
    Entry<void (*)(const float* y, const float* z, const float* weight, int64_t cols, int64_t group_size, float eps,
                   float* out)> gated_group_norm;
    // x[k] = max(x[k], 0)^2
    Entry<void (*)(float* x, int64_t cols)> relu2;
    // gate[k] = silu(gate[k]) * up[k]
    Entry<void (*)(float* gate, const float* up, int64_t cols)> swiglu;
    // out[k] = softplus(dt[k] + bias[k]), then clamped to [low, high]
    Entry<void (*)(const float* dt, const float* bias, int64_t count, float low, float high, float* out)> softplus_dt;
    // x[k] += y[k]
    Entry<void (*)(float* x, const float* y, int64_t cols)> add;
    // x[k] += sum of factors[r] * rows[r * stride + k] over r < count, in order of r
    Entry<void (*)(float* x, const float* factors, const float* rows, int64_t stride, int64_t count, int64_t cols)> add_rows;

    // Causal depthwise conv + bias + SiLU over T tokens, channels [begin, end).
    // x: [T][x_stride]; out: [T][out_stride]; weight: [channels][width]; state: [width - 1][channels], oldest first;
    // mutates state to the last width - 1 inputs. out may be x.
    Entry<void (*)(const float* x, int64_t x_stride, int64_t tokens, const float* weight, const float* bias, int64_t width,
                   int64_t channels, int64_t begin, int64_t end, float* state, float* out, int64_t out_stride)> conv_silu;

    // One head of the Mamba-2 recurrence over T tokens, float32:
    //   S <- exp(dt_t A) S + dt_t x_t outer B_t;   y_t = S C_t + D x_t
    // x, y: [T][stride] of head_dim; dt: [T][dt_stride] after softplus; B, C: [T][bc_stride] of state_size;
    // state: [head_dim][state_size], mutated. y may be x.
    Entry<void (*)(const float* x, int64_t x_stride, const float* dt, int64_t dt_stride, float a, float d, const float* b,
                   const float* c, int64_t bc_stride, int64_t tokens, int64_t head_dim, int64_t state_size, float* state,
                   float* y, int64_t y_stride)> ssm_scan;

    // Attention of one kv head's group of query heads for T tokens against the cache: token t sees keys 0 .. position + t,
    // already stored. q: [T][q_stride], group * head_dim values each (the query heads of this kv head are adjacent); out the
    // same with out_stride. Element e of key k lies at cache.key_block(k)[e * kKeyBlock + k % kKeyBlock].
    // T * group <= kAttentionQueries; scratch: attention_scratch_floats(head_dim). The cache is float16, float32, or q8: see KvType.
    Entry<AttentionKernel<uint16_t>> attention;
    Entry<AttentionKernel<float>> attention_float;
    Entry<AttentionKernel<int8_t>> attention_q8;
    // out[k] = float16 of x[k], round to nearest even.
    Entry<void (*)(const float* x, int64_t count, uint16_t* out)> to_float16;
    // Rotate adjacent pairs (2i, 2i+1) of each head in place by position * theta^(-2i / head_dim); cosine, sine: head_dim / 2.
    Entry<void (*)(float* x, int64_t heads, int64_t head_dim, const float* cosine, const float* sine)> rope_pairs;
};

constexpr int64_t kAttentionQueries = 128;  // token x head pairs of one attention call
size_t attention_scratch_floats(int64_t head_dim);

// The best kernels for isa; ops without a fast form keep the next lower one. Throws Error if the machine lacks isa.
KernelTable kernel_table(Isa isa);
// The best instruction set of this machine.
Isa best_isa();

// One per op folder and instruction set: overwrite the entries it serves. quant serves decode_row and quantize_q8.
void fill_codec_reference(KernelTable&);
void fill_codec_avx2(KernelTable&);
void fill_codec_avx512(KernelTable&);
void fill_products_reference(KernelTable&);  // gemv and gemm
void fill_gemv_avx2(KernelTable&);
void fill_gemv_avx512(KernelTable&);
void fill_gemm_avx2(KernelTable&);
void fill_gemm_avx512(KernelTable&);
void fill_ssm_reference(KernelTable&);
void fill_ssm_avx2(KernelTable&);
void fill_ssm_avx512(KernelTable&);
void fill_attention_reference(KernelTable&);
void fill_attention_avx2(KernelTable&);
void fill_attention_avx512(KernelTable&);
void fill_elementwise_reference(KernelTable&);
void fill_elementwise_avx2(KernelTable&);
void fill_elementwise_avx512(KernelTable&);

}  // namespace mambino
