// Loops that do nothing but what a kernel is limited by: reading memory, multiplying int8. For `mambino bench`, not for models.
#pragma once

#include <cstdint>

namespace mambino {

// The sum of count words, count a multiple of 8: as fast as memory gives them.
uint64_t read_words(const uint64_t* words, int64_t count);

// Multiplications and additions of one round of multiply_int8_*.
constexpr int64_t kInt8OpsAvx2 = 12 * 32 * 2;    // vpmaddubsw, vpmaddwd, vpaddd: 32 products
constexpr int64_t kInt8OpsAvx512 = 16 * 64 * 2;  // vpdpbusd, 64 products

int32_t multiply_int8_avx2(int64_t rounds);
int32_t multiply_int8_avx512(int64_t rounds);

}  // namespace mambino
