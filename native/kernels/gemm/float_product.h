// Products of any weight type with float32 activations: rows decoded to float32 in scratch, then tiles of dot products.
//
// Generic over the vector type; included by the float kernels of one instruction set each. Start at product_float.
#pragma once

#include <algorithm>

#include "kernels/gemm/float_tile.h"
#include "kernels/table.h"
#include "kernels/codec/decode.h"

namespace mambino {
namespace {

constexpr int64_t kFloatSlice = 1024;  // k at a time: tokens of a tile stay in L1, decoded rows in L2

template <class Vector>
struct FloatSlice {
    FloatRows w, x;
    int64_t cols;
    bool is_first;

    // y[t][r] (+)= dots of rows and tokens, all of them.
    void multiply(int64_t rows, int64_t tokens, float* y, int64_t y_stride) const {
        for (int64_t t = 0; t < tokens; t += Vector::kTileTokens)
            for (int64_t r = 0; r < rows; r += Vector::kTileRows)
                add_tile(r, t, std::min<int64_t>(Vector::kTileRows, rows - r),
                         std::min<int64_t>(Vector::kTileTokens, tokens - t), y, y_stride);
    }

    void add_tile(int64_t row, int64_t token, int64_t rows, int64_t tokens, float* y, int64_t y_stride) const {
        float dots[Vector::kTileRows * Vector::kTileTokens];
        tile_dots_for<Vector>(rows, tokens)({w[row], w.stride}, {x[token], x.stride}, cols, dots, Vector::kTileTokens, 1);
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t r = 0; r < rows; ++r) {
                float& out = y[(token + t) * y_stride + row + r];
                const float dot = dots[r * Vector::kTileTokens + t];
                out = is_first ? dot : out + dot;
            }
    }
};

// kRows at a time are decoded; the tile shape is Vector's.
template <class Vector, DType type, int64_t kRows>
void product_float(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                   uint8_t* scratch) {
    auto* decoded = reinterpret_cast<float*>(scratch);
    for (int64_t r = row_begin; r < row_end; r += kRows) {
        const int64_t rows = std::min(kRows, row_end - r);
        for (int64_t k = 0; k < w.cols; k += kFloatSlice) {
            const int64_t cols = std::min(kFloatSlice, w.cols - k);
            for (int64_t i = 0; i < rows; ++i)
                decode_row_avx2(type, w.row(r + i) + row_nbytes(type, k), cols, decoded + i * kFloatSlice);
            const FloatSlice<Vector> slice{{decoded, kFloatSlice}, {x.values + k, x.values_stride}, cols, k == 0};
            slice.multiply(rows, x.tokens, y + r, y_stride);
        }
    }
}

// gemv and gemm differ in how many rows are decoded before tokens pass over them; each value's sum is the same.
template <class Vector, int... types>
void set_gemv_float(KernelTable& table, Isa isa, std::integer_sequence<int, types...>) {
    (table.gemv_float[types].set(product_float<Vector, static_cast<DType>(types), Vector::kTileRows>, isa), ...);
    for (DType type : {DType::kF32, DType::kF16, DType::kBF16})
        table.gemv[static_cast<int>(type)] = table.gemv_float[static_cast<int>(type)];
}

template <class Vector, int... types>
void set_gemm_float(KernelTable& table, Isa isa, std::integer_sequence<int, types...>) {
    (table.gemm_float[types].set(product_float<Vector, static_cast<DType>(types), kGemmPanelRows>, isa), ...);
    for (DType type : {DType::kF32, DType::kF16, DType::kBF16})
        table.gemm[static_cast<int>(type)] = table.gemm_float[static_cast<int>(type)];
}

}  // namespace
}  // namespace mambino
