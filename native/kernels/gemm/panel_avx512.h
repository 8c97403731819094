// Unpacks blocks of 16 rows into the layout that vpdpbusd wants: a zmm holds 4 consecutive k of each of 16 rows.
//
// Packed blocks are transposed first (columns) and taken apart afterwards, so every shift and mask serves 16 rows.
// Only for gemm/avx512.cc: everything has internal linkage. Start at Unpack.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "quant/blocks.h"

namespace mambino {
namespace {

constexpr int64_t kBlockBytes = 8 * 2 * 64;  // 32 k of 32 rows: 8 groups of 4 k, 2 vectors of 16 rows

// Where 16 rows of unpacked blocks go. Block b: q + b * kBlockBytes + group * 128; floats every 32 (two row vectors).
struct PanelSlot {
    uint8_t* q;
    float* scale;  // one vector a block, or two where 16 values share a scale
    float* min;
};

// The first bytes of 16 rows, at a constant distance.
struct Rows16 {
    const uint8_t* first;
    int64_t stride;
};

// x[i] lane j (of 128 bits) = 16 bytes at row i from at.
template <int j>
inline __attribute__((always_inline)) void insert_rows(const uint8_t* at, int64_t stride, __m512i x[4]) {
    asm("" : "+r"(at));  // one opaque pointer: else GCC keeps all 16 row addresses and spills them to vector registers
    const auto load = [](const uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
    for (int i = 0; i < 4; ++i)
        x[i] = j == 0 ? _mm512_castsi128_si512(load(at + i * stride)) : _mm512_inserti32x4(x[i], load(at + i * stride), j);
}

// c[j] lane r = bytes 4j .. 4j+3 of the 16 bytes at row r + offset.
inline __attribute__((always_inline)) void columns(Rows16 rows, int64_t offset, __m512i c[4]) {
    __m512i x[4];
    const uint8_t* at = rows.first + offset;
    insert_rows<0>(at, rows.stride, x);
    insert_rows<1>(at + 4 * rows.stride, rows.stride, x);
    insert_rows<2>(at + 8 * rows.stride, rows.stride, x);
    insert_rows<3>(at + 12 * rows.stride, rows.stride, x);
    const __m512i low01 = _mm512_unpacklo_epi32(x[0], x[1]), high01 = _mm512_unpackhi_epi32(x[0], x[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(x[2], x[3]), high23 = _mm512_unpackhi_epi32(x[2], x[3]);
    c[0] = _mm512_unpacklo_epi64(low01, low23), c[1] = _mm512_unpackhi_epi64(low01, low23);
    c[2] = _mm512_unpacklo_epi64(high01, high23), c[3] = _mm512_unpackhi_epi64(high01, high23);
}

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline __m512i low_nibbles(__m512i v) { return _mm512_and_si512(v, bytes(15)); }
inline __m512i high_nibbles(__m512i v) { return _mm512_and_si512(_mm512_srli_epi16(v, 4), bytes(15)); }
// The low or high 16 bits of every lane as float16.
inline __m512 low_half(__m512i v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
inline __m512 high_half(__m512i v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16))); }
inline void store_group(uint8_t* q, int group, __m512i v) { _mm512_store_si512(q + group * 128, v); }

// 16 where bit 4 * group + i of a lane's dword is set, for byte i of the lane.
template <int group>
inline __m512i fifth_bits(__m512i high) {
    const __m512i byte = _mm512_set1_epi32(0x01010101 * (group / 2));
    const __m512i base = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const __m512i spread = _mm512_shuffle_epi8(high, _mm512_add_epi8(base, byte));
    const __m512i bit = _mm512_set1_epi32(group % 2 ? static_cast<int>(0x80402010) : 0x08040201);
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(spread, bit), bytes(16));
}

// 32 nibbles in 16 bytes a row, low nibbles first, each mapped by value.
template <class Value>
inline __attribute__((always_inline)) void store_nibbles(Rows16 rows, int64_t offset, uint8_t* q,
                                                         Value value) {
    __m512i c[4];
    columns(rows, offset, c);
    for (int j = 0; j < 4; ++j) {
        store_group(q, j, value(low_nibbles(c[j])));
        store_group(q, j + 4, value(high_nibbles(c[j])));
    }
}

inline __attribute__((always_inline)) void store_five_bits(Rows16 rows, int64_t offset, uint8_t* q,
                                                           __m512i high) {
    __m512i c[4];
    columns(rows, offset, c);
    store_group(q, 0, _mm512_or_si512(low_nibbles(c[0]), fifth_bits<0>(high)));
    store_group(q, 1, _mm512_or_si512(low_nibbles(c[1]), fifth_bits<1>(high)));
    store_group(q, 2, _mm512_or_si512(low_nibbles(c[2]), fifth_bits<2>(high)));
    store_group(q, 3, _mm512_or_si512(low_nibbles(c[3]), fifth_bits<3>(high)));
    store_group(q, 4, _mm512_or_si512(high_nibbles(c[0]), fifth_bits<4>(high)));
    store_group(q, 5, _mm512_or_si512(high_nibbles(c[1]), fifth_bits<5>(high)));
    store_group(q, 6, _mm512_or_si512(high_nibbles(c[2]), fifth_bits<6>(high)));
    store_group(q, 7, _mm512_or_si512(high_nibbles(c[3]), fifth_bits<7>(high)));
}

// Unpack<type>: kZero (u8 value that means 0), kHasMin, kHalves (scales a 32-block), and of the file block at rows + offset:
// block(rows, offset, slot), all of it into slot; scales(rows, offset, slot), only scales and mins.
template <DType type>
struct Unpack;

template <int zero, bool has_min, int halves = 1>
struct Format {
    static constexpr int kZero = zero;
    static constexpr bool kHasMin = has_min;
    static constexpr int kHalves = halves;
};

// Types of 32-blocks that start with a float16 scale, followed by a float16 offset (a min with its sign changed) or not.
template <int zero, bool has_min>
struct SimpleFormat : Format<zero, has_min> {
    // head: the first dword of every row's block.
    static void store_head(__m512i head, const PanelSlot& slot) {
        _mm512_store_ps(slot.scale, low_half(head));
        if constexpr (has_min) _mm512_store_ps(slot.min, _mm512_sub_ps(_mm512_setzero_ps(), high_half(head)));
    }
    static void scales(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        const __m512i row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        const __m512i at = _mm512_mullo_epi32(row, _mm512_set1_epi32(static_cast<int>(rows.stride)));
        store_head(_mm512_i32gather_epi32(at, rows.first + offset, 1), slot);
    }
};

template <>
struct Unpack<DType::kQ8_0> : SimpleFormat<128, false> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);
        store_head(c[0], slot);
        for (int half = 0; half < 2; ++half) {
            columns(rows, offset + 2 + 16 * half, c);
            for (int j = 0; j < 4; ++j) store_group(slot.q, half * 4 + j, _mm512_xor_si512(c[j], bytes(128)));
        }
    }
};

template <>
struct Unpack<DType::kQ4_0> : SimpleFormat<8, false> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);
        store_head(c[0], slot);
        store_nibbles(rows, offset + 2, slot.q, [](__m512i v) { return v; });
    }
};

template <>
struct Unpack<DType::kQ4_1> : SimpleFormat<0, true> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);
        store_head(c[0], slot);
        store_nibbles(rows, offset + 4, slot.q, [](__m512i v) { return v; });
    }
};

template <>
struct Unpack<DType::kQ5_0> : SimpleFormat<16, false> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);  // d, and the fifth bits across the first two dwords
        store_head(c[0], slot);
        store_five_bits(rows, offset + 6, slot.q,
                        _mm512_or_si512(_mm512_srli_epi32(c[0], 16), _mm512_slli_epi32(c[1], 16)));
    }
};

template <>
struct Unpack<DType::kQ5_1> : SimpleFormat<0, true> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);
        store_head(c[0], slot);
        store_five_bits(rows, offset + 8, slot.q, c[1]);
    }
};

template <>
struct Unpack<DType::kIQ4_NL> : SimpleFormat<128, false> {
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset, c);
        store_head(c[0], slot);
        const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
        const __m512i table = _mm512_xor_si512(_mm512_broadcast_i32x4(values), bytes(128));
        store_nibbles(rows, offset + 2, slot.q, [table](__m512i v) { return _mm512_shuffle_epi8(table, v); });
    }
};

// Scales and mins of the eight sub-blocks of Q4_K and Q5_K, from the 16 bytes at the block's start.
inline __attribute__((always_inline)) void store_scales_mins(Rows16 rows, int64_t offset,
                                                             const PanelSlot& slot) {
    __m512i c[4];
    columns(rows, offset, c);
    const __m512 d = low_half(c[0]), dmin = high_half(c[0]);
    const __m512i top = bytes(0x30);
    const __m512i scales[2] = {
        _mm512_and_si512(c[1], bytes(63)),
        _mm512_or_si512(low_nibbles(c[3]), _mm512_and_si512(_mm512_srli_epi32(c[1], 2), top))};
    const __m512i mins[2] = {
        _mm512_and_si512(c[2], bytes(63)),
        _mm512_or_si512(high_nibbles(c[3]), _mm512_and_si512(_mm512_srli_epi32(c[2], 2), top))};
    const __m512i byte = _mm512_set1_epi32(255);
    for (int j = 0; j < 8; ++j) {
        const __m512i scale = _mm512_and_si512(_mm512_srli_epi32(scales[j / 4], 8 * (j % 4)), byte);
        const __m512i min = _mm512_and_si512(_mm512_srli_epi32(mins[j / 4], 8 * (j % 4)), byte);
        _mm512_store_ps(slot.scale + 32 * j, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
        _mm512_store_ps(slot.min + 32 * j, _mm512_mul_ps(dmin, _mm512_cvtepi32_ps(min)));
    }
}

template <>
struct Unpack<DType::kQ4_K> : Format<0, true> {
    static void scales(Rows16 rows, int64_t offset, const PanelSlot& slot) { store_scales_mins(rows, offset, slot); }
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        store_scales_mins(rows, offset, slot);
        for (int part = 0; part < 8; ++part) {  // 16 bytes: half of two neighbouring sub-blocks
            __m512i c[4];
            columns(rows, offset + 16 + 16 * part, c);
            uint8_t* q = slot.q + part / 2 * 2 * kBlockBytes;
            for (int j = 0; j < 4; ++j) {
                store_group(q, part % 2 * 4 + j, low_nibbles(c[j]));
                store_group(q + kBlockBytes, part % 2 * 4 + j, high_nibbles(c[j]));
            }
        }
    }
};

template <>
struct Unpack<DType::kQ5_K> : Format<0, true> {
    static void scales(Rows16 rows, int64_t offset, const PanelSlot& slot) { store_scales_mins(rows, offset, slot); }
    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        store_scales_mins(rows, offset, slot);
        __m512i high[8];
        columns(rows, offset + 16, high), columns(rows, offset + 32, high + 4);
        for (int part = 0; part < 8; ++part) {
            __m512i c[4];
            columns(rows, offset + 48 + 16 * part, c);
            uint8_t* q = slot.q + part / 2 * 2 * kBlockBytes;
            for (int j = 0; j < 4; ++j) {
                __m512i& bits = high[part % 2 * 4 + j];  // bit 0: this sub-block, bit 1: its neighbour
                const __m512i one = bytes(1), two = bytes(2);
                const __m512i first = _mm512_slli_epi16(_mm512_and_si512(bits, one), 4);
                const __m512i second = _mm512_slli_epi16(_mm512_and_si512(bits, two), 3);
                store_group(q, part % 2 * 4 + j, _mm512_or_si512(low_nibbles(c[j]), first));
                store_group(q + kBlockBytes, part % 2 * 4 + j, _mm512_or_si512(high_nibbles(c[j]), second));
                bits = _mm512_srli_epi16(bits, 2);
            }
        }
    }
};

template <>
struct Unpack<DType::kQ6_K> : Format<32, false, 2> {
    static void scales(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        __m512i c[4];
        columns(rows, offset + 194, c);
        const __m512 d = high_half(c[3]);
        columns(rows, offset + 192, c);
        for (int s = 0; s < 16; ++s) {
            const __m512i scale = _mm512_srai_epi32(_mm512_slli_epi32(c[s / 4], 24 - 8 * (s % 4)), 24);
            _mm512_store_ps(slot.scale + 32 * s, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
        }
    }

    static void block(Rows16 rows, int64_t offset, const PanelSlot& slot) {
        scales(rows, offset, slot);
        for (int part = 0; part < 8; ++part) store_part(rows, offset, part, slot.q);
    }

    // 16 bytes of low nibbles: half a piece and half of the piece two further on; four pieces share 32 bytes of high bits.
    static inline __attribute__((always_inline)) void store_part(Rows16 rows, int64_t offset, int part,
                                                                 uint8_t* panel) {
        const int half = part / 4, quarter = part / 2 % 2, group = part % 2 * 4;
        __m512i low[4], high[4];
        columns(rows, offset + 16 * part, low);
        columns(rows, offset + 128 + half * 32 + part % 2 * 16, high);
        uint8_t* q = panel + (half * 4 + quarter) * kBlockBytes;
        const __m512i top = bytes(0x30);
        for (int j = 0; j < 4; ++j) {
            const __m512i bits = _mm512_srli_epi16(high[j], quarter * 2);
            const __m512i first = _mm512_and_si512(_mm512_slli_epi16(bits, 4), top), second = _mm512_and_si512(bits, top);
            store_group(q, group + j, _mm512_or_si512(low_nibbles(low[j]), first));
            store_group(q + 2 * kBlockBytes, group + j, _mm512_or_si512(high_nibbles(low[j]), second));
        }
    }
};

}  // namespace
}  // namespace mambino
