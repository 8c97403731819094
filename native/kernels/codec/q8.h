// The 8-bit activation format's scale, shared by every quantiser so that all of them give the same bits.
#pragma once

#include <limits>

namespace mambino {

// A block of 32 whose largest magnitude is not above kQ8Tiny becomes zeros: 127 / largest would overflow. A magnitude
// above kQ8Huge, infinity or NaN makes the block's scale NaN, so that every product with it shows it.
constexpr float kQ8Tiny = 0x1p-100f;
constexpr float kQ8Huge = 0x1p126f;

struct Q8Scale {
    float scale;
    float inverse;  // 0: all values become 0
};

static inline Q8Scale q8_scale(float largest, bool is_finite) {
    if (!is_finite) return {std::numeric_limits<float>::quiet_NaN(), 0};
    if (!(largest > kQ8Tiny)) return {0, 0};
    return {largest / 127.0f, 127.0f / largest};
}

}  // namespace mambino
