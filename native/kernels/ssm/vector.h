// The causal conv and the Mamba-2 recurrence for any vector type of kernels/simd; avx2.cc and avx512.cc are instances.
//
// The scan takes one head over all tokens: a row of the state (one channel p, a slab of up to eight registers along N)
// stays in registers while the tokens pass, so the state is read and written once every kTokens tokens. Each value is
// computed by the same operations in the same order for any number of tokens: cutting a sequence changes no bit.
#pragma once

#include <cmath>

#include "kernels/simd/exp.h"
#include "kernels/table.h"

namespace mambino {

template <class V>
struct Ssm {
    using Reg = typename V::Reg;
    static constexpr int64_t kLanes = V::kLanes;
    static constexpr int64_t kMaxWidth = 8;   // taps held in registers; wider convs take the next lower kernel
    static constexpr int64_t kTokens = 32;    // their B and C (1 KB a token for N = 128) stay in L1 while all rows pass
    static constexpr int64_t kRows = 4;       // state rows whose sums are finished together

    static inline void (*conv_fallback)(const float*, int64_t, int64_t, const float*, const float*, int64_t, int64_t, int64_t, int64_t,
                                         float*, float*, int64_t) = nullptr;
    static inline void (*scan_fallback)(const float*, int64_t, const float*, int64_t, float, float, const float*, const float*, int64_t,
                                         int64_t, int64_t, int64_t, float*, float*, int64_t) = nullptr;

    static void conv_silu(const float* x, int64_t x_stride, int64_t tokens, const float* weight, const float* bias, int64_t width,
                          int64_t channels, int64_t begin, int64_t end, float* state, float* out, int64_t out_stride) {
        int64_t c = begin;
        if (width <= kMaxWidth)
            for (; c + kLanes <= end; c += kLanes)
                conv_lanes(x + c, x_stride, tokens, weight + c * width, bias + c, width, channels, state + c, out + c, out_stride);
        if (c < end)
            conv_fallback(x, x_stride, tokens, weight, bias, width, channels, c, end, state, out, out_stride);
    }

    static void conv_lanes(const float* x, int64_t x_stride, int64_t tokens, const float* weight, const float* bias, int64_t width,
                           int64_t channels, float* state, float* out, int64_t out_stride) {
        Reg taps[kMaxWidth], past[kMaxWidth];  // past[width - 1] is the newest sample
        alignas(64) float column[kLanes];
        for (int64_t j = 0; j < width; ++j) {
            for (int64_t lane = 0; lane < kLanes; ++lane) column[lane] = weight[lane * width + j];
            taps[j] = V::load(column);
        }
        for (int64_t j = 0; j + 1 < width; ++j) past[j] = V::load(state + j * channels);
        const Reg offset = V::load(bias);
        for (int64_t t = 0; t < tokens; ++t) {
            past[width - 1] = V::load(x + t * x_stride);
            Reg sum = V::fma(taps[width - 1], past[width - 1], offset);
            for (int64_t j = 0; j + 1 < width; ++j) sum = V::fma(taps[j], past[j], sum);
            for (int64_t j = 0; j + 1 < width; ++j) past[j] = past[j + 1];
            V::store(out + t * out_stride, vector_silu<V>(sum));
        }
        for (int64_t j = 0; j + 1 < width; ++j) V::store(state + j * channels, past[j]);
    }

    static void ssm_scan(const float* x, int64_t x_stride, const float* dt, int64_t dt_stride, float a, float d, const float* b,
                         const float* c, int64_t bc_stride, int64_t tokens, int64_t head_dim, int64_t state_size, float* state, float* y,
                         int64_t y_stride) {
        if (state_size % kLanes) {
            scan_fallback(x, x_stride, dt, dt_stride, a, d, b, c, bc_stride, tokens, head_dim, state_size, state, y, y_stride);
            return;
        }
        for (int64_t begin = 0; begin < tokens; begin += kTokens) {
            const int64_t count = tokens - begin < kTokens ? tokens - begin : kTokens;
            float decay[kTokens], step[kTokens];
            for (int64_t t = 0; t < count; ++t) {
                step[t] = dt[(begin + t) * dt_stride];
                decay[t] = std::exp(step[t] * a);
            }
            const Chunk chunk{b + begin * bc_stride, c + begin * bc_stride, bc_stride, decay, count};
            for (int64_t p = 0; p < head_dim; p += kRows) {
                const int64_t rows = head_dim - p < kRows ? head_dim - p : kRows;
                scan_rows(chunk, x + begin * x_stride + p, x_stride, step, d, rows, state_size, state + p * state_size,
                          y + begin * y_stride + p, y_stride);
            }
        }
    }

    // What all rows of a chunk of tokens share.
    struct Chunk {
        const float *b, *c;
        int64_t stride;
        const float* decay;
        int64_t tokens;
    };

    // rows <= kRows channels over the tokens of a chunk. Partial sums stay vectors and are added up four at a time.
    static void scan_rows(const Chunk& chunk, const float* x, int64_t x_stride, const float* step, float d, int64_t rows,
                          int64_t state_size, float* state, float* y, int64_t y_stride) {
        float input[kRows * kTokens], sums[kRows * kTokens];
        Reg partial[kRows * kTokens];
        const int64_t total = rows * chunk.tokens;
        for (int64_t t = 0; t < chunk.tokens; ++t)
            for (int64_t r = 0; r < rows; ++r) input[r * chunk.tokens + t] = step[t] * x[t * x_stride + r];
        for (int64_t i = 0; i < (total + 3) / 4 * 4; ++i) partial[i] = V::zero();
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t n = 0; n < state_size;)
                n += scan_slab(chunk, n, state_size, input + r * chunk.tokens, state + r * state_size, partial + r * chunk.tokens);
        for (int64_t i = 0; i < total; i += 4) V::sum_four(partial + i, sums + i);
        for (int64_t t = 0; t < chunk.tokens; ++t)
            for (int64_t r = 0; r < rows; ++r) y[t * y_stride + r] = sums[r * chunk.tokens + t] + d * x[t * x_stride + r];
    }

    // The widest slab of one row that fits from column n on; returns its width.
    static int64_t scan_slab(const Chunk& chunk, int64_t n, int64_t state_size, const float* input, float* row, Reg* partial) {
        const int64_t left = (state_size - n) / kLanes;
        if (left >= 8) return scan_registers<8>(chunk, n, input, row + n, partial);
        if (left >= 4) return scan_registers<4>(chunk, n, input, row + n, partial);
        if (left >= 2) return scan_registers<2>(chunk, n, input, row + n, partial);
        return scan_registers<1>(chunk, n, input, row + n, partial);
    }

    template <int kRegs>
    static int64_t scan_registers(const Chunk& chunk, int64_t n, const float* input, float* row, Reg* partial) {
        Reg s[kRegs];
        for (int i = 0; i < kRegs; ++i) s[i] = V::load(row + i * kLanes);
        for (int64_t t = 0; t < chunk.tokens; ++t) {
            const Reg decay = V::set(chunk.decay[t]), u = V::set(input[t]);
            const float *b = chunk.b + t * chunk.stride + n, *c = chunk.c + t * chunk.stride + n;
            Reg even = partial[t], odd = V::zero();
            for (int i = 0; i < kRegs; ++i) {
                s[i] = V::fma(s[i], decay, V::mul(u, V::load(b + i * kLanes)));
                Reg& sum = i % 2 ? odd : even;
                sum = V::fma(s[i], V::load(c + i * kLanes), sum);
            }
            partial[t] = V::add(even, odd);
        }
        for (int i = 0; i < kRegs; ++i) V::store(row + i * kLanes, s[i]);
        return kRegs * kLanes;
    }

    static void fill(KernelTable& table, Isa isa) {
        conv_fallback = table.conv_silu.run, scan_fallback = table.ssm_scan.run;
        table.conv_silu.set(conv_silu, isa);
        table.ssm_scan.set(ssm_scan, isa);
    }
};

}  // namespace mambino
