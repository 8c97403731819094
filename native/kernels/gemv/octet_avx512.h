// Takes apart 256 consecutive values of a quantised row, in place, into four zmm of u8.
//
// Vector i holds the two 32-blocks of kPairs[i]. After the dot products are reduced within 128-bit lanes, int lane
// 4 L + i belongs to 16-value half L % 2 of block L / 2 of pair i.
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
};

template <int max>
struct OctetFormat {
    static constexpr int kMax = max;  // largest u8 value
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

// Positions of an octet's eight file blocks; past the row's end the last block again (its activations are zero).
template <int64_t block_nbytes, bool full>
struct BlockAt {
    const uint8_t* first;
    int64_t last;
    const uint8_t* operator()(int64_t i) const { return first + (full ? i : i < last ? i : last) * block_nbytes; }
};

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
struct Octet<DType::kQ8_0> : OctetFormat<255> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) {
            w.q[i] = _mm512_inserti64x4(_mm512_castsi256_si512(load32(at(2 * i) + 2)), load32(at(2 * i + 1) + 2), 1);
            w.q[i] = _mm512_xor_si512(w.q[i], all_bytes(128));
        }
        return w;
    }
};

template <>
struct Octet<DType::kQ4_0> : OctetFormat<15> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) w.q[i] = nibble_pair(at(2 * i) + 2, at(2 * i + 1) + 2);
        return w;
    }
};

template <>
struct Octet<DType::kIQ4_NL> : OctetFormat<241> {
    template <class At>
    static OctetWeights load(const At& at) {
        const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
        const __m512i table = _mm512_xor_si512(_mm512_broadcast_i32x4(values), all_bytes(128));
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = _mm512_shuffle_epi8(table, nibble_pair(at(2 * i) + 2, at(2 * i + 1) + 2));
        return w;
    }
};

template <>
struct Octet<DType::kQ4_1> : OctetFormat<15> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i) w.q[i] = nibble_pair(at(2 * i) + 4, at(2 * i + 1) + 4);
        return w;
    }
};

template <>
struct Octet<DType::kQ5_0> : OctetFormat<31> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = add_fifth_bits(nibble_pair(at(2 * i) + 6, at(2 * i + 1) + 6), at(2 * i) + 2, at(2 * i + 1) + 2);
        return w;
    }
};

template <>
struct Octet<DType::kQ5_1> : OctetFormat<31> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
        for (int i = 0; i < 4; ++i)
            w.q[i] = add_fifth_bits(nibble_pair(at(2 * i) + 8, at(2 * i + 1) + 8), at(2 * i) + 4, at(2 * i + 1) + 4);
        return w;
    }
};

// Q4_K and Q5_K: low nibbles of 64 bytes are blocks 0 and 2 (of four), high nibbles blocks 1 and 3.
template <int max>
struct KOctetFormat : OctetFormat<max> {
    static constexpr int kPairs[4][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}};

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
        load_nibbles(at(0) + 16, w);
        return w;
    }
};

template <>
struct Octet<DType::kQ5_K> : KOctetFormat<31> {
    template <class At>
    static OctetWeights load(const At& at) {
        OctetWeights w;
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
struct Octet<DType::kQ6_K> : OctetFormat<63> {
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
        return w;
    }
};

}  // namespace
}  // namespace mambino
