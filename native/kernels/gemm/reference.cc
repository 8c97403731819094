// The reference matrix product, for few tokens (gemv) and many (gemm) alike: a row decoded to integers (or floats) once, then
// plain loops over tokens. Integer dots are exact and the rest is summed in double, so a fast kernel differs from this only by the
// rounding of its own float sums.
#include <initializer_list>
#include <utility>

#include "kernels/codec/decode.h"
#include "kernels/table.h"

namespace mambino {

size_t gemm_scratch_nbytes(int64_t cols) {
    // Rows unpacked or copied, a slice at a time or whole: at most 64 bytes a column. Sums of 64 rows with every token.
    return static_cast<size_t>(cols + 512) * 64 + kGemmMaxTokens * 64 * sizeof(float) + 131072;
}

namespace {

struct Blocks {
    const Block32* of_row;
    int64_t count;
};

double dot_row(const Blocks& row, const Activations& x, int64_t token) {
    double sum = 0;
    const int8_t* q8 = x.q8 + token * x.cols;
    const int32_t* sum16 = x.sum16 + token * x.cols / 16;
    for (int64_t b = 0; b < row.count; ++b) {
        const Block32& w = row.of_row[b];
        double block_sum = 0;
        for (int half = 0; half < 2; ++half) {
            int dot = 0;
            for (int i = half * 16; i < half * 16 + 16; ++i) dot += w.q[i] * q8[b * 32 + i];
            block_sum += static_cast<double>(w.scale[half]) * dot - static_cast<double>(w.min) * sum16[b * 2 + half];
        }
        sum += block_sum * static_cast<double>(x.scale[token * row.count + b]);
    }
    return sum;
}

template <int type>
void multiply_quantized(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y,
                    int64_t y_stride, uint8_t* scratch) {
    auto* blocks = reinterpret_cast<Block32*>(scratch);
    for (int64_t r = row_begin; r < row_end; ++r) {
        for (int64_t b = 0; b < w.cols / 32; ++b) blocks[b] = unpack_block32(static_cast<DType>(type), w.row(r), b);
        for (int64_t t = 0; t < x.tokens; ++t)
            y[t * y_stride + r] = static_cast<float>(dot_row({blocks, w.cols / 32}, x, t));
    }
}

template <int type>
void multiply_float(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
                uint8_t* scratch) {
    auto* row = reinterpret_cast<float*>(scratch);
    for (int64_t r = row_begin; r < row_end; ++r) {
        decode_row_reference(static_cast<DType>(type), w.row(r), w.cols, row);
        for (int64_t t = 0; t < x.tokens; ++t) {
            double sum = 0;
            for (int64_t k = 0; k < w.cols; ++k)
                sum += static_cast<double>(row[k]) * static_cast<double>(x.values[t * x.values_stride + k]);
            y[t * y_stride + r] = static_cast<float>(sum);
        }
    }
}

template <int type>
void fill_type(KernelTable& table) {
    constexpr bool is_float = dtype_info(static_cast<DType>(type)).is_float;
    const MatmulKernel stored = is_float ? multiply_float<type> : multiply_quantized<type>;
    for (auto* entries : {table.gemv, table.gemm}) entries[type].set(stored, Isa::kReference);
    for (auto* entries : {table.gemv_float, table.gemm_float}) entries[type].set(multiply_float<type>, Isa::kReference);
}

template <int... types>
void fill_types(KernelTable& table, std::integer_sequence<int, types...>) {
    (fill_type<types>(table), ...);
}

}  // namespace

void fill_products_reference(KernelTable& table) { fill_types(table, std::make_integer_sequence<int, kNumDTypes>{}); }

}  // namespace mambino
