// Number formats of weights as they lie in a GGUF file: block layouts, sizes, and the id of each type.
//
// Source: the GGML block layouts (little endian). Values: Q4_0 d(q-8); Q4_1 dq+m; Q5_0 d(q-16); Q5_1 dq+m; Q8_0 dq;
// IQ4_NL d*kIq4Values[q]; Q4_K and Q5_K d*sc*q - dmin*m over 8 sub-blocks of 32; Q6_K d*sc*(q-32) over 16 sub-blocks of 16.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mambino {

enum class DType : int { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kIQ4_NL, kQ4_K, kQ5_K, kQ6_K };
constexpr int kNumDTypes = 12;

#pragma pack(push, 1)
struct BlockQ8_0 { uint16_t d; int8_t q[32]; };
struct BlockQ4_0 { uint16_t d; uint8_t q[16]; };                        // element i: low nibble of q[i]; i + 16: high
struct BlockQ4_1 { uint16_t d, m; uint8_t q[16]; };
struct BlockQ5_0 { uint16_t d; uint8_t high[4]; uint8_t q[16]; };       // bit i of high is the fifth bit of element i
struct BlockQ5_1 { uint16_t d, m; uint8_t high[4]; uint8_t q[16]; };
struct BlockIQ4_NL { uint16_t d; uint8_t q[16]; };
struct BlockQ4_K { uint16_t d, dmin; uint8_t scales[12]; uint8_t q[128]; };
struct BlockQ5_K { uint16_t d, dmin; uint8_t scales[12]; uint8_t high[32]; uint8_t q[128]; };
struct BlockQ6_K { uint8_t low[128]; uint8_t high[64]; int8_t scales[16]; uint16_t d; };
#pragma pack(pop)

static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct DTypeInfo {
    const char* name;
    int64_t block_size;    // values
    int64_t block_nbytes;
    bool is_float;
};

inline constexpr DTypeInfo kDTypes[kNumDTypes] = {
    {"F32", 1, 4, true},      {"F16", 1, 2, true},      {"BF16", 1, 2, true},     {"Q8_0", 32, 34, false},
    {"Q4_0", 32, 18, false},  {"Q4_1", 32, 20, false},  {"Q5_0", 32, 22, false},  {"Q5_1", 32, 24, false},
    {"IQ4_NL", 32, 18, false}, {"Q4_K", 256, 144, false}, {"Q5_K", 256, 176, false}, {"Q6_K", 256, 210, false},
};

constexpr const DTypeInfo& dtype_info(DType type) { return kDTypes[static_cast<int>(type)]; }

// Bytes of one row; cols must be a multiple of the block size.
constexpr int64_t row_nbytes(DType type, int64_t cols) {
    return cols / dtype_info(type).block_size * dtype_info(type).block_nbytes;
}

}  // namespace mambino
