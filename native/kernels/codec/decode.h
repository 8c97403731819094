// The values of one 32-wide piece of a quantised row, as integers and scales: what every fast unpacking must reproduce.
//
// A K-quant block is eight such pieces. Plain scalar code; start at unpack_block32.
#pragma once

#include <cstdint>

#include "quant/blocks.h"

namespace mambino {

// value[i] = scale[i / 16] * q[i] - min
struct Block32 {
    int8_t q[32];
    float scale[2];
    float min;
};

// The six-bit scale and min of sub-block j (0..7) of a Q4_K or Q5_K block, packed in 12 bytes.
static inline void unpack_scale_min(const uint8_t* packed, int j, int* scale, int* min) {
    if (j < 4) {
        *scale = packed[j] & 63;
        *min = packed[j + 4] & 63;
    } else {
        *scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
        *min = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
    }
}

// Values index * 32 .. index * 32 + 31 of a row of a quantised type.
Block32 unpack_block32(DType type, const uint8_t* row, int64_t index);

// out[k] = value k of the row, float32; any type. The same bits from both.
void decode_row_reference(DType type, const uint8_t* row, int64_t cols, float* out);
void decode_row_avx2(DType type, const uint8_t* row, int64_t cols, float* out);

}  // namespace mambino
