// AVX2 decoding of weight rows to float32, and quantisation of activations; the same bits as the reference.
//
// Every quantised type goes through one shape: 32 signed bytes, two scales and a min. Start at decode_blocks.
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/fp16.h"
#include "kernels/table.h"
#include "kernels/codec/decode.h"
#include "kernels/codec/q8.h"

namespace mambino {
namespace {

inline __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
inline __m256i load32(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

inline float load_half(const uint8_t* at) {
    uint16_t half;
    std::memcpy(&half, at, 2);
    return _cvtsh_ss(half);
}

inline __m256i nibbles(const uint8_t* q) {
    const __m128i v = load16(q);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), _mm256_set1_epi8(15));
}

// 16 in byte i where bit i of four bytes is set.
inline __m256i fifth_bits(const uint8_t* high) {
    int32_t bits;
    std::memcpy(&bits, high, 4);
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), which);
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

struct Scales {
    float first, second, min;  // value = first (or, from 16 on, second) * q - min
};

inline void store_values(__m256i q, const Scales& scales, float* out) {
    const __m128i half[2] = {_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)};
    const __m256 min = _mm256_set1_ps(scales.min);
    for (int i = 0; i < 4; ++i) {
        const __m256i eight = _mm256_cvtepi8_epi32(i % 2 ? _mm_srli_si128(half[i / 2], 8) : half[i / 2]);
        const __m256 scale = _mm256_set1_ps(i < 2 ? scales.first : scales.second);
        _mm256_storeu_ps(out + 8 * i, _mm256_sub_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(eight)), min));
    }
}

inline void store_plain(__m256i q, int zero, const uint8_t* d, float min, float* out) {
    const float scale = load_half(d);
    store_values(_mm256_sub_epi8(q, _mm256_set1_epi8(static_cast<char>(zero))), {scale, scale, min}, out);
}

template <class Block>
inline void store_k_block(const Block& block, __m256i high, float* out) {
    const float d = _cvtsh_ss(block.d), dmin = _cvtsh_ss(block.dmin);
    for (int j = 0; j < 8; ++j) {
        int scale, min;
        unpack_scale_min(block.scales, j, &scale, &min);
        const __m256i packed = load32(block.q + j / 2 * 32);
        const __m256i low = _mm256_and_si256(j % 2 ? _mm256_srli_epi16(packed, 4) : packed, _mm256_set1_epi8(15));
        const __m256i bit = _mm256_and_si256(_mm256_slli_epi16(high, 4), _mm256_set1_epi8(16));
        const float both = d * static_cast<float>(scale);
        store_values(_mm256_or_si256(low, bit), {both, both, dmin * static_cast<float>(min)}, out + 32 * j);
        high = _mm256_srli_epi16(high, 1);
    }
}

inline void store_q6_k_block(const BlockQ6_K& block, float* out) {
    const float d = _cvtsh_ss(block.d);
    for (int j = 0; j < 8; ++j) {
        const int half = j / 4, quarter = j % 4;
        const __m256i packed = load32(block.low + half * 64 + quarter % 2 * 32);
        const __m256i low = _mm256_and_si256(quarter / 2 ? _mm256_srli_epi16(packed, 4) : packed, _mm256_set1_epi8(15));
        const __m256i bits = _mm256_srl_epi16(load32(block.high + half * 32), _mm_cvtsi32_si128(2 * quarter));
        const __m256i high = _mm256_slli_epi16(_mm256_and_si256(bits, _mm256_set1_epi8(3)), 4);
        const float first = d * static_cast<float>(block.scales[2 * j]);
        const float second = d * static_cast<float>(block.scales[2 * j + 1]);
        store_values(_mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(32)), {first, second, 0}, out + 32 * j);
    }
}

template <DType type>
inline void decode_block(const uint8_t* at, float* out) {
    if constexpr (type == DType::kQ8_0) store_plain(load32(at + 2), 0, at, 0, out);
    if constexpr (type == DType::kQ4_0) store_plain(nibbles(at + 2), 8, at, 0, out);
    if constexpr (type == DType::kQ4_1) store_plain(nibbles(at + 4), 0, at, -load_half(at + 2), out);
    if constexpr (type == DType::kQ5_0) store_plain(_mm256_or_si256(nibbles(at + 6), fifth_bits(at + 2)), 16, at, 0, out);
    if constexpr (type == DType::kQ5_1)
        store_plain(_mm256_or_si256(nibbles(at + 8), fifth_bits(at + 4)), 0, at, -load_half(at + 2), out);
    if constexpr (type == DType::kIQ4_NL) {
        const __m256i table = _mm256_broadcastsi128_si256(load16(reinterpret_cast<const uint8_t*>(kIq4Values)));
        store_plain(_mm256_shuffle_epi8(table, nibbles(at + 2)), 0, at, 0, out);
    }
    if constexpr (type == DType::kQ4_K) store_k_block(*reinterpret_cast<const BlockQ4_K*>(at), _mm256_setzero_si256(), out);
    if constexpr (type == DType::kQ5_K) {
        const auto& block = *reinterpret_cast<const BlockQ5_K*>(at);
        store_k_block(block, load32(block.high), out);
    }
    if constexpr (type == DType::kQ6_K) store_q6_k_block(*reinterpret_cast<const BlockQ6_K*>(at), out);
}

template <DType type>
void decode_blocks(const uint8_t* row, int64_t cols, float* out) {
    constexpr DTypeInfo info = dtype_info(type);
    for (int64_t k = 0; k < cols; k += info.block_size, row += info.block_nbytes) decode_block<type>(row, out + k);
}

template <>
void decode_blocks<DType::kF32>(const uint8_t* row, int64_t cols, float* out) {
    std::memcpy(out, row, static_cast<size_t>(cols) * 4);
}

template <>
void decode_blocks<DType::kF16>(const uint8_t* row, int64_t cols, float* out) {
    int64_t k = 0;
    for (; k + 8 <= cols; k += 8) _mm256_storeu_ps(out + k, _mm256_cvtph_ps(load16(row + 2 * k)));
    for (; k < cols; ++k) out[k] = load_half(row + 2 * k);
}

template <>
void decode_blocks<DType::kBF16>(const uint8_t* row, int64_t cols, float* out) {
    int64_t k = 0;
    for (; k + 8 <= cols; k += 8) {
        const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(row + 2 * k)), 16);
        _mm256_storeu_ps(out + k, _mm256_castsi256_ps(wide));
    }
    decode_row_reference(DType::kBF16, row + 2 * k, cols - k, out + k);
}

using Decoder = void (*)(const uint8_t*, int64_t, float*);

template <int... types>
constexpr std::array<Decoder, kNumDTypes> decoders(std::integer_sequence<int, types...>) {
    return {decode_blocks<static_cast<DType>(types)>...};
}
constexpr auto kDecoders = decoders(std::make_integer_sequence<int, kNumDTypes>{});

inline __m256 magnitude(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

inline float largest_lane(__m256 x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

inline int32_t sum_lanes(__m256i x) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

void quantize_q8_avx2(const float* x, int64_t cols, int8_t* q8, float* scale, int32_t* sum16) {
    for (int64_t b = 0; b < cols / 32; ++b, x += 32, q8 += 32, sum16 += 2) {
        __m256 v[4];
        for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 8 * i);
        __m256 most = _mm256_setzero_ps(), bad = _mm256_setzero_ps();
        for (const __m256& part : v) {
            most = _mm256_max_ps(most, magnitude(part));
            bad = _mm256_or_ps(bad, _mm256_cmp_ps(magnitude(part), _mm256_set1_ps(kQ8Huge), _CMP_NLE_UQ));
        }
        const Q8Scale s = q8_scale(largest_lane(most), _mm256_movemask_ps(bad) == 0);
        const __m256 inverse = _mm256_set1_ps(s.inverse);
        __m256i q[4];
        for (int i = 0; i < 4; ++i)
            q[i] = s.inverse ? _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse)) : _mm256_setzero_si256();
        const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(q8), ordered);
        sum16[0] = sum_lanes(_mm256_add_epi32(q[0], q[1]));
        sum16[1] = sum_lanes(_mm256_add_epi32(q[2], q[3]));
        scale[b] = s.scale;
    }
}

}  // namespace

void decode_row_avx2(DType type, const uint8_t* row, int64_t cols, float* out) {
    kDecoders[static_cast<size_t>(type)](row, cols, out);
}

void fill_codec_avx2(KernelTable& table) {
    for (size_t type = 0; type < kNumDTypes; ++type) table.decode_row[type].set(kDecoders[type], Isa::kAvx2);
    table.quantize_q8.set(quantize_q8_avx2, Isa::kAvx2);
}

}  // namespace mambino
