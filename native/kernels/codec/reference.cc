// Reference decoding of every weight type, and reference quantisation of activations to 8 bits.
#include <cmath>
#include <cstring>

#include "base/fp16.h"
#include "kernels/table.h"
#include "kernels/codec/decode.h"
#include "kernels/codec/q8.h"

namespace mambino {
namespace {

template <class Block>
Block load_block(const uint8_t* row, int64_t index) {
    Block block;
    std::memcpy(&block, row + index * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    return block;
}

void set_scale(Block32& out, float scale, float min) { out.scale[0] = out.scale[1] = scale, out.min = min; }

void set_nibbles(Block32& out, const uint8_t* q, int zero) {
    for (int i = 0; i < 16; ++i) {
        out.q[i] = static_cast<int8_t>((q[i] & 15) - zero);
        out.q[i + 16] = static_cast<int8_t>((q[i] >> 4) - zero);
    }
}

void add_fifth_bits(Block32& out, const uint8_t* high) {
    for (int i = 0; i < 32; ++i) out.q[i] = static_cast<int8_t>(out.q[i] + ((high[i / 8] >> (i % 8) & 1) << 4));
}

// Sub-block j of Q4_K or Q5_K: 32 nibbles out of q[128], low nibbles of 32 bytes first, then their high nibbles.
template <class Block>
void set_k_sub_block(Block32& out, const Block& block, int j) {
    int scale, min;
    unpack_scale_min(block.scales, j, &scale, &min);
    set_scale(out, fp16_to_float(block.d) * static_cast<float>(scale), fp16_to_float(block.dmin) * static_cast<float>(min));
    for (int i = 0; i < 32; ++i) out.q[i] = static_cast<int8_t>(block.q[j / 2 * 32 + i] >> (j % 2 * 4) & 15);
}

void set_q6_k_piece(Block32& out, const BlockQ6_K& block, int j) {
    const int half = j / 4, quarter = j % 4;  // of 128 values; four pieces share 32 bytes of high bits
    for (int i = 0; i < 32; ++i) {
        const int low = block.low[half * 64 + quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15;
        const int high = block.high[half * 32 + i] >> (quarter * 2) & 3;
        out.q[i] = static_cast<int8_t>((low | high << 4) - 32);
    }
    for (int s = 0; s < 2; ++s) out.scale[s] = fp16_to_float(block.d) * static_cast<float>(block.scales[j * 2 + s]);
    out.min = 0;
}

}  // namespace

Block32 unpack_block32(DType type, const uint8_t* row, int64_t index) {
    Block32 out;
    switch (type) {
        case DType::kQ8_0: {
            const auto block = load_block<BlockQ8_0>(row, index);
            set_scale(out, fp16_to_float(block.d), 0);
            std::memcpy(out.q, block.q, 32);
            break;
        }
        case DType::kQ4_0: {
            const auto block = load_block<BlockQ4_0>(row, index);
            set_scale(out, fp16_to_float(block.d), 0);
            set_nibbles(out, block.q, 8);
            break;
        }
        case DType::kQ4_1: {
            const auto block = load_block<BlockQ4_1>(row, index);
            set_scale(out, fp16_to_float(block.d), -fp16_to_float(block.m));
            set_nibbles(out, block.q, 0);
            break;
        }
        case DType::kQ5_0: {
            const auto block = load_block<BlockQ5_0>(row, index);
            set_scale(out, fp16_to_float(block.d), 0);
            set_nibbles(out, block.q, 16);
            add_fifth_bits(out, block.high);
            break;
        }
        case DType::kQ5_1: {
            const auto block = load_block<BlockQ5_1>(row, index);
            set_scale(out, fp16_to_float(block.d), -fp16_to_float(block.m));
            set_nibbles(out, block.q, 0);
            add_fifth_bits(out, block.high);
            break;
        }
        case DType::kIQ4_NL: {
            const auto block = load_block<BlockIQ4_NL>(row, index);
            set_scale(out, fp16_to_float(block.d), 0);
            set_nibbles(out, block.q, 0);
            for (int8_t& q : out.q) q = kIq4Values[q];
            break;
        }
        case DType::kQ4_K:
            set_k_sub_block(out, load_block<BlockQ4_K>(row, index / 8), static_cast<int>(index % 8));
            break;
        case DType::kQ5_K: {
            const auto block = load_block<BlockQ5_K>(row, index / 8);
            const int j = static_cast<int>(index % 8);
            set_k_sub_block(out, block, j);
            for (int i = 0; i < 32; ++i) out.q[i] = static_cast<int8_t>(out.q[i] + ((block.high[i] >> j & 1) << 4));
            break;
        }
        case DType::kQ6_K:
            set_q6_k_piece(out, load_block<BlockQ6_K>(row, index / 8), static_cast<int>(index % 8));
            break;
        case DType::kF32:
        case DType::kF16:
        case DType::kBF16:
            set_scale(out, 0, 0);
            std::memset(out.q, 0, sizeof out.q);
            break;
    }
    return out;
}

void decode_row_reference(DType type, const uint8_t* row, int64_t cols, float* out) {
    if (type == DType::kF32) {
        std::memcpy(out, row, static_cast<size_t>(cols) * sizeof(float));
    } else if (dtype_info(type).is_float) {
        for (int64_t k = 0; k < cols; ++k) {
            const auto bits = static_cast<uint16_t>(row[2 * k] | row[2 * k + 1] << 8);
            out[k] = type == DType::kF16 ? fp16_to_float(bits) : bf16_to_float(bits);
        }
    } else {
        for (int64_t b = 0; b < cols / 32; ++b) {
            const Block32 block = unpack_block32(type, row, b);
            for (int i = 0; i < 32; ++i) out[b * 32 + i] = block.scale[i / 16] * static_cast<float>(block.q[i]) - block.min;
        }
    }
}

namespace {

template <int type>
void decode_row(const uint8_t* row, int64_t cols, float* out) {
    decode_row_reference(static_cast<DType>(type), row, cols, out);
}

void quantize_q8_reference(const float* x, int64_t cols, int8_t* q8, float* scale, int32_t* sum16) {
    for (int64_t b = 0; b < cols / 32; ++b, x += 32, q8 += 32, sum16 += 2) {
        float largest = 0;
        bool is_finite = true;
        for (int i = 0; i < 32; ++i) {
            largest = std::fmax(largest, std::fabs(x[i]));
            is_finite = is_finite && std::fabs(x[i]) <= kQ8Huge;
        }
        const Q8Scale s = q8_scale(largest, is_finite);
        scale[b] = s.scale;
        sum16[0] = sum16[1] = 0;
        for (int i = 0; i < 32; ++i) {
            q8[i] = s.inverse ? static_cast<int8_t>(std::nearbyint(x[i] * s.inverse)) : int8_t{0};
            sum16[i / 16] += q8[i];
        }
    }
}

template <int... types>
void set_decoders(KernelTable& table, std::integer_sequence<int, types...>) {
    (table.decode_row[types].set(decode_row<types>, Isa::kReference), ...);
}

}  // namespace

void fill_codec_reference(KernelTable& table) {
    set_decoders(table, std::make_integer_sequence<int, kNumDTypes>{});
    table.quantize_q8.set(quantize_q8_reference, Isa::kReference);
}

}  // namespace mambino
