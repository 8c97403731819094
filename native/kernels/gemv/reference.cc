// Reference matrix products for a few tokens, plain loops that judge the fast kernels. Start at gemv_quantized.
//
// Integer dots of 16 values are exact; everything after them is summed in double, so a fast kernel differs from this
// only by the rounding of its own float sums.
#include <utility>

#include "kernels/table.h"
#include "kernels/codec/decode.h"

namespace mambino {
namespace {

int dot16(const int8_t* w, const int8_t* x) {
    int sum = 0;
    for (int i = 0; i < 16; ++i) sum += w[i] * x[i];
    return sum;
}

// One 32-wide piece times one token's piece: sum of (scale q - min) * x_scale * q8.
double dot_block(const Block32& w, const Activations& x, int64_t token, int64_t block) {
    const int8_t* q8 = x.q8 + token * x.cols + block * 32;
    const int32_t* sum16 = x.sum16 + (token * x.cols + block * 32) / 16;
    double sum = 0;
    for (int half = 0; half < 2; ++half)
        sum += static_cast<double>(w.scale[half]) * dot16(w.q + half * 16, q8 + half * 16) -
               static_cast<double>(w.min) * sum16[half];
    return sum * static_cast<double>(x.scale[token * (x.cols / 32) + block]);
}

template <int type>
void gemv_quantized(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y,
                    int64_t y_stride, uint8_t*) {
    for (int64_t r = row_begin; r < row_end; ++r)
        for (int64_t t = 0; t < x.tokens; ++t) {
            double sum = 0;
            for (int64_t b = 0; b < w.cols / 32; ++b)
                sum += dot_block(unpack_block32(static_cast<DType>(type), w.row(r), b), x, t, b);
            y[t * y_stride + r] = static_cast<float>(sum);
        }
}

template <int type>
void gemv_float(const Matrix& w, int64_t row_begin, int64_t row_end, const Activations& x, float* y, int64_t y_stride,
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
    table.gemv[type].set(is_float ? gemv_float<type> : gemv_quantized<type>, Isa::kReference);
    table.gemv_float[type].set(gemv_float<type>, Isa::kReference);
}

template <int... types>
void fill_types(KernelTable& table, std::integer_sequence<int, types...>) {
    (fill_type<types>(table), ...);
}

}  // namespace

void fill_gemv_reference(KernelTable& table) { fill_types(table, std::make_integer_sequence<int, kNumDTypes>{}); }

}  // namespace mambino
