// Constants of the 8-bit activation format that every quantiser shares.
#pragma once

namespace mambino {

// A block of 32 whose largest magnitude is not above this becomes zeros: 127 / largest would overflow.
constexpr float kQ8Tiny = 0x1p-100f;

}  // namespace mambino
