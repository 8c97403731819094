// Unpacks blocks of 16 rows into the layout that vpdpbusd wants: a zmm holds 4 consecutive k of each of 16 rows.
//
// Packed blocks are transposed first (columns) and taken apart afterwards, so every shift and mask serves 16 rows. What comes
// out goes to a sink: gemm stores it in a panel, gemv multiplies it at once.
// Only for gemv/avx512.cc and gemm/avx512.cc: everything has internal linkage. Start at Unpack.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>

#include "quant/blocks.h"

namespace mambino {
namespace {

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

// v, plus 16 in byte i of a lane where bit 4 * group + i of the lane's dword is set.
template <int group>
inline __attribute__((always_inline)) __m512i add_fifth_bits(__m512i v, __m512i high) {
    const __m512i byte = _mm512_set1_epi32(0x01010101 * (group / 2));
    const __m512i base = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const __m512i spread = _mm512_shuffle_epi8(high, _mm512_add_epi8(base, byte));
    const __m512i bit = _mm512_set1_epi32(group % 2 ? static_cast<int>(0x80402010) : 0x08040201);
    return _mm512_mask_add_epi8(v, _mm512_test_epi8_mask(spread, bit), v, bytes(16));
}

// A sink takes what one file block of 16 rows holds, every part once: first scale(i, v), i = 32-block * kHalves + half, and
// min(block, v); then half<block, h>(v), v[j] being elements 16 h + 4 j .. + 3 of that 32-block as u8, a lane a row.
//
// Unpack<type>: kZero (u8 value that means 0), kHasMin, kHalves (scales a 32-block), block(rows, offset, sink), which unpacks
// the file block at rows + offset, and nth(i), the i-th 32-block of a row to be complete.
template <DType type>
struct Unpack;

template <int zero, bool has_min, int halves = 1>
struct Format {
    static constexpr int kZero = zero;
    static constexpr bool kHasMin = has_min;
    static constexpr int kHalves = halves;
    static constexpr int64_t nth(int64_t i) { return i; }
};

template <int value>
using Constant = std::integral_constant<int, value>;

// A loop whose index is a constant.
template <class Step>
inline __attribute__((always_inline)) void for_eight_parts(Step step) {
    step(Constant<0>{}), step(Constant<1>{}), step(Constant<2>{}), step(Constant<3>{});
    step(Constant<4>{}), step(Constant<5>{}), step(Constant<6>{}), step(Constant<7>{});
}

// Types of 32-blocks that start with a float16 scale, followed by a float16 offset (a min with its sign changed) or not.
template <int zero, bool has_min>
struct SimpleFormat : Format<zero, has_min> {
    // first: the first dword of every row's block.
    template <class Sink>
    static inline __attribute__((always_inline)) void head(__m512i first, Sink& sink) {
        sink.scale(0, low_half(first));
        if constexpr (has_min) sink.min(0, _mm512_sub_ps(_mm512_setzero_ps(), high_half(first)));
    }
};

// 32 nibbles in 16 bytes a row, low nibbles first, each mapped by value.
template <class Sink, class Value>
inline __attribute__((always_inline)) void give_nibbles(Rows16 rows, int64_t offset, Sink& sink, Value value) {
    __m512i c[4];
    columns(rows, offset, c);
    const __m512i low[4] = {value(low_nibbles(c[0])), value(low_nibbles(c[1])), value(low_nibbles(c[2])), value(low_nibbles(c[3]))};
    sink.template half<0, 0>(low);
    const __m512i high[4] = {value(high_nibbles(c[0])), value(high_nibbles(c[1])), value(high_nibbles(c[2])), value(high_nibbles(c[3]))};
    sink.template half<0, 1>(high);
}

template <class Sink>
inline __attribute__((always_inline)) void give_five_bits(Rows16 rows, int64_t offset, __m512i fifth, Sink& sink) {
    __m512i c[4];
    columns(rows, offset, c);
    const __m512i low[4] = {add_fifth_bits<0>(low_nibbles(c[0]), fifth), add_fifth_bits<1>(low_nibbles(c[1]), fifth),
                            add_fifth_bits<2>(low_nibbles(c[2]), fifth), add_fifth_bits<3>(low_nibbles(c[3]), fifth)};
    sink.template half<0, 0>(low);
    const __m512i high[4] = {add_fifth_bits<4>(high_nibbles(c[0]), fifth), add_fifth_bits<5>(high_nibbles(c[1]), fifth),
                             add_fifth_bits<6>(high_nibbles(c[2]), fifth), add_fifth_bits<7>(high_nibbles(c[3]), fifth)};
    sink.template half<0, 1>(high);
}

template <>
struct Unpack<DType::kQ8_0> : SimpleFormat<128, false> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);
        head(c[0], sink);
        columns(rows, offset + 2, c);
        for (__m512i& v : c) v = _mm512_xor_si512(v, bytes(128));
        sink.template half<0, 0>(c);
        columns(rows, offset + 18, c);
        for (__m512i& v : c) v = _mm512_xor_si512(v, bytes(128));
        sink.template half<0, 1>(c);
    }
};

template <>
struct Unpack<DType::kQ4_0> : SimpleFormat<8, false> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);
        head(c[0], sink);
        give_nibbles(rows, offset + 2, sink, [](__m512i v) { return v; });
    }
};

template <>
struct Unpack<DType::kQ4_1> : SimpleFormat<0, true> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);
        head(c[0], sink);
        give_nibbles(rows, offset + 4, sink, [](__m512i v) { return v; });
    }
};

template <>
struct Unpack<DType::kQ5_0> : SimpleFormat<16, false> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);  // d, and the fifth bits across the first two dwords
        head(c[0], sink);
        give_five_bits(rows, offset + 6, _mm512_or_si512(_mm512_srli_epi32(c[0], 16), _mm512_slli_epi32(c[1], 16)), sink);
    }
};

template <>
struct Unpack<DType::kQ5_1> : SimpleFormat<0, true> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);
        head(c[0], sink);
        give_five_bits(rows, offset + 8, c[1], sink);
    }
};

template <>
struct Unpack<DType::kIQ4_NL> : SimpleFormat<128, false> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset, c);
        head(c[0], sink);
        const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
        const __m512i table = _mm512_xor_si512(_mm512_broadcast_i32x4(values), bytes(128));
        give_nibbles(rows, offset + 2, sink, [table](__m512i v) { return _mm512_shuffle_epi8(table, v); });
    }
};

// Scales and mins of the eight sub-blocks of Q4_K and Q5_K, from the 16 bytes at the block's start.
template <class Sink>
inline __attribute__((always_inline)) void give_scales_mins(Rows16 rows, int64_t offset, Sink& sink) {
    __m512i c[4];
    columns(rows, offset, c);
    const __m512 d = low_half(c[0]), dmin = high_half(c[0]);
    const __m512i top = bytes(0x30), byte = _mm512_set1_epi32(255);
    const __m512i scales[2] = {_mm512_and_si512(c[1], bytes(63)),
                               _mm512_or_si512(low_nibbles(c[3]), _mm512_and_si512(_mm512_srli_epi32(c[1], 2), top))};
    const __m512i mins[2] = {_mm512_and_si512(c[2], bytes(63)),
                             _mm512_or_si512(high_nibbles(c[3]), _mm512_and_si512(_mm512_srli_epi32(c[2], 2), top))};
#pragma GCC unroll 8
    for (int b = 0; b < 8; ++b) {
        const __m512i scale = _mm512_and_si512(_mm512_srli_epi32(scales[b / 4], 8 * (b % 4)), byte);
        const __m512i min = _mm512_and_si512(_mm512_srli_epi32(mins[b / 4], 8 * (b % 4)), byte);
        sink.scale(b, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
        sink.min(b, _mm512_mul_ps(dmin, _mm512_cvtepi32_ps(min)));
    }
}

template <>
struct Unpack<DType::kQ4_K> : Format<0, true> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        give_scales_mins(rows, offset, sink);
        for_eight_parts([&](auto part) __attribute__((always_inline)) {  // 16 bytes: half of two neighbouring sub-blocks
            __m512i c[4], v[4];
            columns(rows, offset + 16 + 16 * part, c);
            for (int j = 0; j < 4; ++j) v[j] = low_nibbles(c[j]);
            sink.template half<part / 2 * 2, part % 2>(v);
            for (int j = 0; j < 4; ++j) v[j] = high_nibbles(c[j]);
            sink.template half<part / 2 * 2 + 1, part % 2>(v);
        });
    }
};

template <>
struct Unpack<DType::kQ5_K> : Format<0, true> {
    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        give_scales_mins(rows, offset, sink);
        __m512i high[8];
        columns(rows, offset + 16, high), columns(rows, offset + 32, high + 4);
        for_eight_parts([&](auto part) __attribute__((always_inline)) {
            __m512i c[4], v[4], *bits = high + part % 2 * 4;  // bit 0: this sub-block, bit 1: its neighbour
            columns(rows, offset + 48 + 16 * part, c);
            for (int j = 0; j < 4; ++j)
                v[j] = _mm512_or_si512(low_nibbles(c[j]), _mm512_slli_epi16(_mm512_and_si512(bits[j], bytes(1)), 4));
            sink.template half<part / 2 * 2, part % 2>(v);
            for (int j = 0; j < 4; ++j) {
                v[j] = _mm512_or_si512(high_nibbles(c[j]), _mm512_slli_epi16(_mm512_and_si512(bits[j], bytes(2)), 3));
                bits[j] = _mm512_srli_epi16(bits[j], 2);
            }
            sink.template half<part / 2 * 2 + 1, part % 2>(v);
        });
    }
};

template <>
struct Unpack<DType::kQ6_K> : Format<32, false, 2> {
    static constexpr int64_t nth(int64_t i) { return i % 4 == 1 ? i + 1 : i % 4 == 2 ? i - 1 : i; }

    template <class Sink>
    static inline __attribute__((always_inline)) void block(Rows16 rows, int64_t offset, Sink& sink) {
        give_scales(rows, offset, sink);
        for_eight_parts([&](auto part) __attribute__((always_inline)) {
            // 16 bytes of low nibbles: half a 32-block and half of the one two further on; four parts share 32 bytes of high bits.
            constexpr int half = part / 4, quarter = part / 2 % 2;
            __m512i low[4], high[4], v[4];
            columns(rows, offset + 16 * part, low);
            columns(rows, offset + 128 + half * 32 + part % 2 * 16, high);
            const __m512i top = bytes(0x30);
            for (__m512i& bits : high) bits = _mm512_srli_epi16(bits, quarter * 2);
            for (int j = 0; j < 4; ++j)
                v[j] = _mm512_or_si512(low_nibbles(low[j]), _mm512_and_si512(_mm512_slli_epi16(high[j], 4), top));
            sink.template half<half * 4 + quarter, part % 2>(v);
            for (int j = 0; j < 4; ++j) v[j] = _mm512_or_si512(high_nibbles(low[j]), _mm512_and_si512(high[j], top));
            sink.template half<half * 4 + quarter + 2, part % 2>(v);
        });
    }

    template <class Sink>
    static inline __attribute__((always_inline)) void give_scales(Rows16 rows, int64_t offset, Sink& sink) {
        __m512i c[4];
        columns(rows, offset + 194, c);
        const __m512 d = high_half(c[3]);
        columns(rows, offset + 192, c);
#pragma GCC unroll 16
        for (int s = 0; s < 16; ++s) {
            const __m512i scale = _mm512_srai_epi32(_mm512_slli_epi32(c[s / 4], 24 - 8 * (s % 4)), 24);
            sink.scale(s, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
        }
    }
};

}  // namespace
}  // namespace mambino
