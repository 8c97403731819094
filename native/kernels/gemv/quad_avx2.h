// Takes apart 128 consecutive values of a quantised row into four ymm of 32 bytes and a scale per 16 values.
//
// Vector i is 32-block i of the quad. Scale and min lane 4 * half + i belong to 16-value half `half` of block i, which is
// where three horizontal additions put that half's dot product. Serves gemv and gemm; internal linkage. Start at Quad.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "quant/blocks.h"

namespace mambino {
namespace {

struct QuadWeights {
    __m256i q[4];
    __m256 scale;
    __m256 min;
};

// q is unsigned and zero means 0, or q is signed. kMax bounds |q|.
template <int zero, int max, bool has_min, bool is_signed = false>
struct QuadFormat {
    static constexpr int kZero = zero, kMax = max;
    static constexpr bool kHalves = zero == 32;  // Q6_K: a scale for 16 values
    static constexpr bool kHasMin = has_min, kSigned = is_signed;
};

inline __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
inline __m256i load32(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

template <class Value>
inline Value load_as(const uint8_t* at) {
    Value value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Positions of a quad's four 32-blocks in types of 32; past the row's end the last block again (its activations are zero).
template <int64_t block_nbytes>
struct QuadAt {
    const uint8_t* first;
    int64_t last;
    const uint8_t* operator()(int64_t i) const { return first + (i < last ? i : last) * block_nbytes; }
};

// One float16 of each of four blocks, for both halves. Put together in a general register: the vector ports have enough to do.
template <class At>
inline __m256 spread_halves(const At& at, int64_t offset) {
    uint64_t four = 0;
    for (int i = 0; i < 4; ++i) four |= uint64_t{load_as<uint16_t>(at(i) + offset)} << 16 * i;
    const __m128 halves = _mm_cvtph_ps(_mm_cvtsi64_si128(static_cast<int64_t>(four)));
    return _mm256_set_m128(halves, halves);
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
inline __m256i nibbles(const uint8_t* q) {
    const __m128i v = load16(q);
    return low_nibbles(_mm256_set_m128i(_mm_srli_epi16(v, 4), v));
}

// 16 in byte i where bit i of four bytes is set.
inline __m256i fifth_bits(const uint8_t* high) {
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(load_as<int32_t>(high)), which);
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

template <DType type>
struct Quad;

// Types of 32-blocks: load_block gives one block's bytes, the float16 scale comes first, a min follows it.
template <DType type, class Format>
struct QuadOf32 : Format {
    template <class LoadBlock>
    static QuadWeights load_blocks(const uint8_t* row, int64_t quad, int64_t blocks, const LoadBlock& load_block) {
        constexpr int64_t kNbytes = dtype_info(type).block_nbytes;
        const QuadAt<kNbytes> at{row + quad * 4 * kNbytes, blocks - quad * 4 - 1};
        QuadWeights w;
        for (int i = 0; i < 4; ++i) w.q[i] = load_block(at(i));
        w.scale = spread_halves(at, 0);
        w.min = Format::kHasMin ? _mm256_sub_ps(_mm256_setzero_ps(), spread_halves(at, 2)) : _mm256_setzero_ps();
        return w;
    }
};

template <>
struct Quad<DType::kQ8_0> : QuadOf32<DType::kQ8_0, QuadFormat<0, 128, false, true>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        return load_blocks(row, quad, blocks, [](const uint8_t* at) { return load32(at + 2); });
    }
};

template <>
struct Quad<DType::kIQ4_NL> : QuadOf32<DType::kIQ4_NL, QuadFormat<0, 127, false, true>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        const __m256i table = _mm256_broadcastsi128_si256(load16(reinterpret_cast<const uint8_t*>(kIq4Values)));
        return load_blocks(row, quad, blocks,
                           [table](const uint8_t* at) { return _mm256_shuffle_epi8(table, nibbles(at + 2)); });
    }
};

template <>
struct Quad<DType::kQ4_0> : QuadOf32<DType::kQ4_0, QuadFormat<8, 15, false>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        return load_blocks(row, quad, blocks, [](const uint8_t* at) { return nibbles(at + 2); });
    }
};

template <>
struct Quad<DType::kQ4_1> : QuadOf32<DType::kQ4_1, QuadFormat<0, 15, true>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        return load_blocks(row, quad, blocks, [](const uint8_t* at) { return nibbles(at + 4); });
    }
};

template <>
struct Quad<DType::kQ5_0> : QuadOf32<DType::kQ5_0, QuadFormat<16, 31, false>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        return load_blocks(row, quad, blocks,
                           [](const uint8_t* at) { return _mm256_or_si256(nibbles(at + 6), fifth_bits(at + 2)); });
    }
};

template <>
struct Quad<DType::kQ5_1> : QuadOf32<DType::kQ5_1, QuadFormat<0, 31, true>> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t blocks) {
        return load_blocks(row, quad, blocks,
                           [](const uint8_t* at) { return _mm256_or_si256(nibbles(at + 8), fifth_bits(at + 4)); });
    }
};

// Four bytes as floats, in both halves.
inline __m256 spread_bytes(uint32_t four) {
    const __m128i wide = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(static_cast<int>(four)));
    return _mm256_cvtepi32_ps(_mm256_broadcastsi128_si256(wide));
}

// Sub-blocks 4 * half .. 4 * half + 3 of Q4_K or Q5_K: scales, mins, and nibbles from q.
inline QuadWeights load_k_quad(const uint8_t* block, int64_t half, const uint8_t* q) {
    const auto first = load_as<uint32_t>(block + 4), second = load_as<uint32_t>(block + 8);
    const auto third = load_as<uint32_t>(block + 12);
    const uint32_t scales = half ? (third & 0x0f0f0f0f) | (first >> 2 & 0x30303030) : first & 0x3f3f3f3f;
    const uint32_t mins = half ? (third >> 4 & 0x0f0f0f0f) | (second >> 2 & 0x30303030) : second & 0x3f3f3f3f;
    QuadWeights w;
    w.scale = _mm256_mul_ps(_mm256_set1_ps(_cvtsh_ss(load_as<uint16_t>(block))), spread_bytes(scales));
    w.min = _mm256_mul_ps(_mm256_set1_ps(_cvtsh_ss(load_as<uint16_t>(block + 2))), spread_bytes(mins));
    for (int i = 0; i < 2; ++i) {
        const __m256i v = load32(q + 64 * half + 32 * i);
        w.q[2 * i] = low_nibbles(v), w.q[2 * i + 1] = low_nibbles(_mm256_srli_epi16(v, 4));
    }
    return w;
}

template <>
struct Quad<DType::kQ4_K> : QuadFormat<0, 15, true> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t) {
        const uint8_t* block = row + quad / 2 * static_cast<int64_t>(sizeof(BlockQ4_K));
        return load_k_quad(block, quad % 2, block + 16);
    }
};

template <>
struct Quad<DType::kQ5_K> : QuadFormat<0, 31, true> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t) {
        const uint8_t* block = row + quad / 2 * static_cast<int64_t>(sizeof(BlockQ5_K));
        QuadWeights w = load_k_quad(block, quad % 2, block + 48);
        __m256i high = _mm256_srl_epi16(load32(block + 16), _mm_cvtsi64_si128(quad % 2 * 4));  // bit i: block i of the quad
        for (__m256i& q : w.q) {
            q = _mm256_or_si256(q, _mm256_slli_epi16(_mm256_and_si256(high, _mm256_set1_epi8(1)), 4));
            high = _mm256_srli_epi16(high, 1);
        }
        return w;
    }
};

template <>
struct Quad<DType::kQ6_K> : QuadFormat<32, 63, false> {
    static QuadWeights load(const uint8_t* row, int64_t quad, int64_t) {
        const uint8_t* block = row + quad / 2 * static_cast<int64_t>(sizeof(BlockQ6_K));
        const int64_t half = quad % 2;
        const __m256i low[2] = {load32(block + 64 * half), load32(block + 64 * half + 32)};
        const __m256i high = load32(block + 128 + 32 * half), top = _mm256_set1_epi8(0x30);
        QuadWeights w;
        w.q[0] = _mm256_or_si256(low_nibbles(low[0]), _mm256_and_si256(_mm256_slli_epi16(high, 4), top));
        w.q[1] = _mm256_or_si256(low_nibbles(low[1]), _mm256_and_si256(_mm256_slli_epi16(high, 2), top));
        w.q[2] = _mm256_or_si256(low_nibbles(_mm256_srli_epi16(low[0], 4)), _mm256_and_si256(high, top));
        w.q[3] = _mm256_or_si256(low_nibbles(_mm256_srli_epi16(low[1], 4)),
                                 _mm256_and_si256(_mm256_srli_epi16(high, 2), top));
        const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, -1, -1, -1, -1, -1, -1, -1, -1);
        const __m128i packed = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 192 + 8 * half));
        const __m128i scales = _mm_shuffle_epi8(packed, order);
        const __m256 d = _mm256_set1_ps(_cvtsh_ss(load_as<uint16_t>(block + 208)));
        w.scale = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales)));
        w.min = _mm256_setzero_ps();
        return w;
    }
};

// 16 sums of two products each. Unsigned weights up to 63 and signed ones up to 128 cannot overflow: 2 * 128 * 127 < 2^15.
template <class Format>
inline __m256i multiply_pairs(__m256i q, __m256i x) {
    if constexpr (Format::kSigned) return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
    else return _mm256_maddubs_epi16(q, x);
}

}  // namespace
}  // namespace mambino
