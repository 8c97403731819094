// Takes apart 256 consecutive values of a quantised row, in place, into four zmm of u8 and a scale per 16 values.
//
// Vector i holds the two 32-blocks of kPairs[i]. After the dot products are reduced within 128-bit lanes, float lane
// 4 L + i belongs to 16-value half L % 2 of block L / 2 of pair i; scale and min come in that order.
// Only for gemv/avx512.cc: everything has internal linkage. Start at Octet.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "quant/blocks.h"

namespace mambino {
namespace {

struct OctetWeights {
    __m512i q[4];
    __m512 scale;
    __m512 min;
};

template <int zero, int max, bool has_min>
struct OctetFormat {
    static constexpr int kZero = zero;  // u8 value that means 0
    static constexpr int kMax = max;    // largest u8 value
    static constexpr bool kHasMin = has_min;
    static constexpr int kPairs[4][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};
};

inline __m512i all_bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
inline __m256i load32(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

inline uint32_t load_u32(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, 4);
    return value;
}

inline short load_half(const uint8_t* at) {
    short value;
    std::memcpy(&value, at, 2);
    return value;
}

// Positions of an octet's eight file blocks; past the row's end the last block again (its activations are zero).
template <int64_t block_nbytes, bool full>
struct BlockAt {
    const uint8_t* first;
    int64_t last;
    const uint8_t* operator()(int64_t i) const { return first + (full ? i : i < last ? i : last) * block_nbytes; }
};

// One float16 of each of eight blocks, spread to float lanes.
template <class At>
inline __m512 spread_halves(const At& at, int64_t offset) {
    const auto half = [&](int i) { return load_half(at(i) + offset); };
    const __m128i halves = _mm_set_epi16(half(7), half(5), half(3), half(1), half(6), half(4), half(2), half(0));
    const __m512 floats = _mm512_castps256_ps512(_mm256_cvtph_ps(halves));
    return _mm512_shuffle_f32x4(floats, floats, 0x50);
}

// The 64 nibbles of two blocks of 16 bytes, as values of 32 + 32 elements in order.
inline __m512i nibble_pair(const uint8_t* first, const uint8_t* second) {
    __m512i v = _mm512_castsi256_si512(_mm256_broadcastsi128_si256(load16(first)));
    v = _mm512_mask_broadcast_i32x4(v, 0xff00, load16(second));
    const int64_t four = 0x0004000400040004;
    const __m512i shift = _mm512_set_epi64(four, four, 0, 0, four, four, 0, 0);
    return _mm512_and_si512(_mm512_srlv_epi16(v, shift), all_bytes(15));
}

inline __m512i add_fifth_bits(__m512i v, const uint8_t* first, const uint8_t* second) {
    const auto bits = static_cast<__mmask64>(load_u32(first) | static_cast<uint64_t>(load_u32(second)) << 32);
    return _mm512_mask_add_epi8(v, bits, v, all_bytes(16));
}

template <DType type>
struct Octet;

template <>
struct Octet<DType::kQ8_0> : OctetFormat<128, 255, false> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) {
            w.q[i] = _mm512_inserti64x4(_mm512_castsi256_si512(load32(at(2 * i) + 2)), load32(at(2 * i + 1) + 2), 1);
            w.q[i] = _mm512_xor_si512(w.q[i], all_bytes(128));
        }
        w.scale = spread_halves(at, 0);
        return w;
    }
};

template <>
struct Octet<DType::kQ4_0> : OctetFormat<8, 15, false> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) w.q[i] = nibble_pair(at(2 * i) + 2, at(2 * i + 1) + 2);
        w.scale = spread_halves(at, 0);
        return w;
    }
};

template <>
struct Octet<DType::kIQ4_NL> : OctetFormat<128, 241, false> {
    template <class At>
    static OctetWeights load(const At& at) {
        const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
        const __m512i table = _mm512_xor_si512(_mm512_broadcast_i32x4(values), all_bytes(128));
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = _mm512_shuffle_epi8(table, nibble_pair(at(2 * i) + 2, at(2 * i + 1) + 2));
        w.scale = spread_halves(at, 0);
        return w;
    }
};

template <>
struct Octet<DType::kQ4_1> : OctetFormat<0, 15, true> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) w.q[i] = nibble_pair(at(2 * i) + 4, at(2 * i + 1) + 4);
        w.scale = spread_halves(at, 0);
        w.min = _mm512_sub_ps(_mm512_setzero_ps(), spread_halves(at, 2));
        return w;
    }
};

template <>
struct Octet<DType::kQ5_0> : OctetFormat<16, 31, false> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = add_fifth_bits(nibble_pair(at(2 * i) + 6, at(2 * i + 1) + 6), at(2 * i) + 2, at(2 * i + 1) + 2);
        w.scale = spread_halves(at, 0);
        return w;
    }
};

template <>
struct Octet<DType::kQ5_1> : OctetFormat<0, 31, true> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = add_fifth_bits(nibble_pair(at(2 * i) + 8, at(2 * i + 1) + 8), at(2 * i) + 4, at(2 * i + 1) + 4);
        w.scale = spread_halves(at, 0);
        w.min = _mm512_sub_ps(_mm512_setzero_ps(), spread_halves(at, 2));
        return w;
    }
};

// Q4_K and Q5_K: low nibbles of 64 bytes are blocks 0 and 2 (of four), high nibbles blocks 1 and 3.
template <int max>
struct KOctetFormat : OctetFormat<0, max, true> {
    static constexpr int kPairs[4][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}};

    // d, dmin and twelve bytes of six-bit scales and mins from the 16 bytes at the block's start.
    static void load_scales(const uint8_t* block, OctetWeights& w) {
        const __m128i head = load16(block);
        const char none = -1;
        const __m128i low = _mm_setr_epi8(4, 5, 12, 13, 4, 5, 12, 13, 6, 7, 14, 15, 6, 7, 14, 15);
        const __m128i top = _mm_setr_epi8(none, none, 4, 5, none, none, 4, 5, none, none, 6, 7, none, none, 6, 7);
        const __m128i kept = _mm_set1_epi32(0x0f0f3f3f), bits = _mm_set1_epi8(0x30);
        const __m128i low_min = _mm_setr_epi8(8, 9, 12, 13, 8, 9, 12, 13, 10, 11, 14, 15, 10, 11, 14, 15);
        const __m128i top_min = _mm_setr_epi8(none, none, 8, 9, none, none, 8, 9, none, none, 10, 11, none, none, 10, 11);
        const __m128i scales = _mm_or_si128(_mm_and_si128(_mm_shuffle_epi8(head, low), kept),
                                            _mm_and_si128(_mm_srli_epi16(_mm_shuffle_epi8(head, top), 2), bits));
        const __m128i nibbles = _mm_srlv_epi16(_mm_shuffle_epi8(head, low_min), _mm_set1_epi32(0x00040000));
        const __m128i mins = _mm_or_si128(_mm_and_si128(nibbles, kept),
                                          _mm_and_si128(_mm_srli_epi16(_mm_shuffle_epi8(head, top_min), 2), bits));
        const __m128 d = _mm_cvtph_ps(head);
        w.scale = _mm512_mul_ps(_mm512_broadcastss_ps(d), _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(scales)));
        w.min = _mm512_mul_ps(_mm512_broadcastss_ps(_mm_movehdup_ps(d)), _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(mins)));
    }

    static void load_nibbles(const uint8_t* q, OctetWeights& w) {
        for (int i = 0; i < 2; ++i) {
            const __m512i v = _mm512_loadu_si512(q + 64 * i);
            w.q[2 * i] = _mm512_and_si512(v, all_bytes(15));
            w.q[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(v, 4), all_bytes(15));
        }
    }
};

template <>
struct Octet<DType::kQ4_K> : KOctetFormat<15> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        load_scales(at(0), w);
        load_nibbles(at(0) + 16, w);
        return w;
    }
};

template <>
struct Octet<DType::kQ5_K> : KOctetFormat<31> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        load_scales(at(0), w);
        load_nibbles(at(0) + 48, w);
        const __m512i high = _mm512_broadcast_i64x4(load32(at(0) + 16));  // bit j of byte i: element i of sub-block j
        const auto shifts = [](short first, short second) {
            return _mm512_inserti64x4(_mm512_set1_epi16(first), _mm256_set1_epi16(second), 1);
        };
        const __m512i bits[4] = {_mm512_sllv_epi16(high, shifts(4, 2)), _mm512_sllv_epi16(high, shifts(3, 1)),
                                 _mm512_srlv_epi16(high, shifts(0, 2)), _mm512_srlv_epi16(high, shifts(1, 3))};
        for (int i = 0; i < 4; ++i)  // q | (bits & 16)
            w.q[i] = _mm512_ternarylogic_epi32(w.q[i], bits[i], all_bytes(16), 0xf8);
        return w;
    }
};

template <>
struct Octet<DType::kQ6_K> : OctetFormat<32, 63, false> {
    template <class At>
    static OctetWeights load(const At& at) {
        const uint8_t* block = at(0);
        const auto shifts = [](short first, short second) {
            return _mm512_inserti64x4(_mm512_set1_epi16(first), _mm256_set1_epi16(second), 1);
        };
        OctetWeights w;
        for (int i = 0; i < 2; ++i) {
            const __m512i v = _mm512_loadu_si512(block + 64 * i);
            const __m512i high = _mm512_broadcast_i64x4(load32(block + 128 + 32 * i));
            const __m512i top = _mm512_and_si512(_mm512_sllv_epi16(high, shifts(4, 2)), all_bytes(0x30));
            const __m512i next = _mm512_and_si512(_mm512_srlv_epi16(high, shifts(0, 2)), all_bytes(0x30));
            w.q[2 * i] = _mm512_ternarylogic_epi32(top, v, all_bytes(15), 0xf8);  // top | (v & 15)
            w.q[2 * i + 1] = _mm512_ternarylogic_epi32(next, _mm512_srli_epi16(v, 4), all_bytes(15), 0xf8);
        }
        const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        const __m128i scales = _mm_shuffle_epi8(load16(block + 192), order);
        const __m512 d = _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(load_half(block + 208))));
        w.scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scales)));
        return w;
    }
};

}  // namespace
}  // namespace mambino
