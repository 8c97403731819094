// The causal conv and the Mamba-2 recurrence, token by token: what the fast paths must equal.
#include <cmath>

#include "kernels/table.h"

namespace mambino {
namespace {

void conv_silu(const float* x, int64_t x_stride, int64_t tokens, const float* weight, const float* bias, int64_t width,
               int64_t channels, int64_t begin, int64_t end, float* state, float* out, int64_t out_stride) {
    for (int64_t c = begin; c < end; ++c) {
        for (int64_t t = 0; t < tokens; ++t) {
            const float newest = x[t * x_stride + c];
            float sum = bias[c] + weight[c * width + width - 1] * newest;
            for (int64_t j = 0; j < width - 1; ++j) sum += weight[c * width + j] * state[j * channels + c];
            for (int64_t j = 0; j + 2 < width; ++j) state[j * channels + c] = state[(j + 1) * channels + c];
            if (width > 1) state[(width - 2) * channels + c] = newest;
            out[t * out_stride + c] = sum / (1.0f + std::exp(-sum));
        }
    }
}

void ssm_scan(const float* x, int64_t x_stride, const float* dt, int64_t dt_stride, float a, float d, const float* b,
              const float* c, int64_t bc_stride, int64_t tokens, int64_t head_dim, int64_t state_size, float* state, float* y,
              int64_t y_stride) {
    for (int64_t t = 0; t < tokens; ++t) {
        const float step = dt[t * dt_stride], decay = std::exp(step * a);
        const float *b_t = b + t * bc_stride, *c_t = c + t * bc_stride;
        for (int64_t p = 0; p < head_dim; ++p) {
            const float x_tp = x[t * x_stride + p], input = step * x_tp;
            float* row = state + p * state_size;
            float sum = 0.0f;
            for (int64_t n = 0; n < state_size; ++n) {
                row[n] = decay * row[n] + input * b_t[n];
                sum += row[n] * c_t[n];
            }
            y[t * y_stride + p] = sum + d * x_tp;
        }
    }
}

}  // namespace

void fill_ssm_reference(KernelTable& table) {
    table.conv_silu.set(conv_silu, Isa::kReference);
    table.ssm_scan.set(ssm_scan, Isa::kReference);
}

}  // namespace mambino
