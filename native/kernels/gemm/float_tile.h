// Float32 dot products of a few rows with a few tokens, for any vector type: shared by the float kernels of gemv and gemm.
//
// Vector has kWidth, kTileRows, kTileTokens, Register, zero(), load(), multiply_add(), sum(). Each source file that
// includes this gets its own copy (internal linkage), compiled for its own instruction set. Start at tile_dots.
#pragma once

#include <cstdint>
#include <utility>

namespace mambino {
namespace {

// Contiguous float rows (weights or tokens).
struct FloatRows {
    const float* first;
    int64_t stride;
    const float* operator[](int64_t i) const { return first + i * stride; }
};

// dots[r][t] = sum over cols of w[r][k] x[t][k]; the order of additions depends on cols alone, not on R or T.
template <class Vector, int R, int T>
void tile_dots(FloatRows w, FloatRows x, int64_t cols, float* dots, int64_t row_stride, int64_t token_stride) {
    typename Vector::Register sums[R][T];
    for (auto& row : sums)
        for (auto& sum : row) sum = Vector::zero();
    int64_t k = 0;
    for (; k + Vector::kWidth <= cols; k += Vector::kWidth) {
        typename Vector::Register row[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) row[r] = Vector::load(w[r] + k);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
            const auto token = Vector::load(x[t] + k);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) sums[r][t] = Vector::multiply_add(row[r], token, sums[r][t]);
        }
    }
    for (int r = 0; r < R; ++r)
        for (int t = 0; t < T; ++t) {
            float sum = Vector::sum(sums[r][t]);
            for (int64_t i = k; i < cols; ++i) sum += w[r][i] * x[t][i];
            dots[r * row_stride + t * token_stride] = sum;
        }
}

template <class Vector>
using TileDots = void (*)(FloatRows, FloatRows, int64_t, float*, int64_t, int64_t);

template <class Vector, int... i>
constexpr TileDots<Vector> tile_dots_at(int64_t index, std::integer_sequence<int, i...>) {
    constexpr TileDots<Vector> functions[] = {
        tile_dots<Vector, i / Vector::kTileTokens + 1, i % Vector::kTileTokens + 1>...};
    return functions[index];
}

// tile_dots for 1 .. kTileRows rows and 1 .. kTileTokens tokens.
template <class Vector>
constexpr TileDots<Vector> tile_dots_for(int64_t rows, int64_t tokens) {
    return tile_dots_at<Vector>((rows - 1) * Vector::kTileTokens + tokens - 1,
                                std::make_integer_sequence<int, Vector::kTileRows * Vector::kTileTokens>{});
}

}  // namespace
}  // namespace mambino
