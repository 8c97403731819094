// Norms, activations and conversions, one value at a time: what the fast paths must equal.
#include <algorithm>
#include <cmath>

#include "base/fp16.h"
#include "kernels/table.h"

namespace mambino {
namespace {

float silu(float x) { return x / (1.0f + std::exp(-x)); }

void rms_norm(const float* x, const float* weight, int64_t cols, float eps, float* out) {
    double sum = 0.0;
    for (int64_t k = 0; k < cols; ++k) sum += static_cast<double>(x[k]) * x[k];
    const float scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(cols) + eps));
    for (int64_t k = 0; k < cols; ++k) out[k] = x[k] * scale * weight[k];
}

void gated_group_norm(const float* y, const float* z, const float* weight, int64_t cols, int64_t group_size, float eps,
                      float* out) {
    for (int64_t begin = 0; begin < cols; begin += group_size) {
        for (int64_t k = begin; k < begin + group_size; ++k) out[k] = y[k] * silu(z[k]);
        rms_norm(out + begin, weight + begin, group_size, eps, out + begin);
    }
}

void relu2(float* x, int64_t cols) {
    for (int64_t k = 0; k < cols; ++k) {
        const float positive = std::max(x[k], 0.0f);
        x[k] = positive * positive;
    }
}

void swiglu(float* gate, const float* up, int64_t cols) {
    for (int64_t k = 0; k < cols; ++k) gate[k] = silu(gate[k]) * up[k];
}

void softplus_dt(const float* dt, const float* bias, int64_t count, float low, float high, float* out) {
    for (int64_t k = 0; k < count; ++k) {
        const float x = dt[k] + bias[k];
        const float softplus = x > 20.0f ? x : std::log1p(std::exp(x));
        out[k] = std::clamp(softplus, low, high);
    }
}

void add(float* x, const float* y, int64_t cols) {
    for (int64_t k = 0; k < cols; ++k) x[k] += y[k];
}

void add_rows(float* x, const float* factors, const float* rows, int64_t stride, int64_t count, int64_t cols) {
    for (int64_t k = 0; k < cols; ++k)
        for (int64_t r = 0; r < count; ++r) x[k] += factors[r] * rows[r * stride + k];
}

void to_float16(const float* x, int64_t count, uint16_t* out) {
    for (int64_t k = 0; k < count; ++k) out[k] = float_to_fp16(x[k]);
}

void rope_pairs(float* x, int64_t heads, int64_t head_dim, const float* cosine, const float* sine) {
    for (float* head = x; head < x + heads * head_dim; head += head_dim) {
        for (int64_t i = 0; i < head_dim / 2; ++i) {
            const float even = head[2 * i], odd = head[2 * i + 1];
            head[2 * i] = even * cosine[i] - odd * sine[i];
            head[2 * i + 1] = even * sine[i] + odd * cosine[i];
        }
    }
}

}  // namespace

void fill_elementwise_reference(KernelTable& table) {
    table.rms_norm.set(rms_norm, Isa::kReference);
    table.gated_group_norm.set(gated_group_norm, Isa::kReference);
    table.relu2.set(relu2, Isa::kReference);
    table.swiglu.set(swiglu, Isa::kReference);
    table.softplus_dt.set(softplus_dt, Isa::kReference);
    table.add.set(add, Isa::kReference);
    table.add_rows.set(add_rows, Isa::kReference);
    table.to_float16.set(to_float16, Isa::kReference);
    table.rope_pairs.set(rope_pairs, Isa::kReference);
}

}  // namespace mambino
