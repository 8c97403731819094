// Norms, activations and conversions for any vector type of kernels/simd; avx2.cc and avx512.cc are instances.
#pragma once

#include <cmath>

#include "base/fp16.h"
#include "kernels/simd/exp.h"
#include "kernels/table.h"

namespace mambino {

template <class V>
struct Elementwise {
    using Reg = typename V::Reg;
    static constexpr int64_t kLanes = V::kLanes;

    // out[k] = f(k, how many lanes) in full vectors, then one partial vector.
    template <class Full, class Partial>
    static void sweep(int64_t count, const Full& full, const Partial& partial) {
        int64_t k = 0;
        for (; k + kLanes <= count; k += kLanes) full(k);
        if (k < count) partial(k, count - k);
    }

    // Four sums side by side keep the FMA units busy; their order does not depend on anything but count.
    static float sum_of_squares(const float* x, int64_t count) {
        Reg sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
        int64_t k = 0;
        for (; k + 4 * kLanes <= count; k += 4 * kLanes)
            for (int i = 0; i < 4; ++i) {
                const Reg value = V::load(x + k + i * kLanes);
                sums[i] = V::fma(value, value, sums[i]);
            }
        for (; k < count; k += kLanes) {
            const Reg value = k + kLanes <= count ? V::load(x + k) : V::load(x + k, count - k);
            sums[0] = V::fma(value, value, sums[0]);
        }
        return V::sum(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3])));
    }

    static void rms_norm(const float* x, const float* weight, int64_t cols, float eps, float* out) {
        const Reg scale = V::set(1.0f / std::sqrt(sum_of_squares(x, cols) / static_cast<float>(cols) + eps));
        sweep(cols, [&](int64_t k) { V::store(out + k, V::mul(V::mul(V::load(x + k), scale), V::load(weight + k))); },
              [&](int64_t k, int64_t n) {
                  V::store(out + k, V::mul(V::mul(V::load(x + k, n), scale), V::load(weight + k, n)), n);
              });
    }

    static void gated_group_norm(const float* y, const float* z, const float* weight, int64_t cols, int64_t group_size, float eps,
                                 float* out) {
        for (int64_t begin = 0; begin < cols; begin += group_size) {
            const float *y_group = y + begin, *z_group = z + begin;
            float* out_group = out + begin;
            sweep(group_size, [&](int64_t k) { V::store(out_group + k, V::mul(V::load(y_group + k), vector_silu<V>(V::load(z_group + k)))); },
                  [&](int64_t k, int64_t n) {
                      V::store(out_group + k, V::mul(V::load(y_group + k, n), vector_silu<V>(V::load(z_group + k, n))), n);
                  });
            rms_norm(out_group, weight + begin, group_size, eps, out_group);
        }
    }

    static void relu2(float* x, int64_t cols) {
        const auto squared = [](Reg value) {
            const Reg positive = V::max(value, V::zero());
            return V::mul(positive, positive);
        };
        sweep(cols, [&](int64_t k) { V::store(x + k, squared(V::load(x + k))); },
              [&](int64_t k, int64_t n) { V::store(x + k, squared(V::load(x + k, n)), n); });
    }

    static void swiglu(float* gate, const float* up, int64_t cols) {
        sweep(cols, [&](int64_t k) { V::store(gate + k, V::mul(vector_silu<V>(V::load(gate + k)), V::load(up + k))); },
              [&](int64_t k, int64_t n) { V::store(gate + k, V::mul(vector_silu<V>(V::load(gate + k, n)), V::load(up + k, n)), n); });
    }

    static void add(float* x, const float* y, int64_t cols) {
        sweep(cols, [&](int64_t k) { V::store(x + k, V::add(V::load(x + k), V::load(y + k))); },
              [&](int64_t k, int64_t n) { V::store(x + k, V::add(V::load(x + k, n), V::load(y + k, n)), n); });
    }

    // Four registers of x at a time stay where they are while all rows are added.
    static void add_rows(float* x, const float* factors, const float* rows, int64_t stride, int64_t count, int64_t cols) {
        int64_t k = 0;
        for (; k + 4 * kLanes <= cols; k += 4 * kLanes) {
            Reg sums[4];
            for (int i = 0; i < 4; ++i) sums[i] = V::load(x + k + i * kLanes);
            for (int64_t r = 0; r < count; ++r)
                for (int i = 0; i < 4; ++i) sums[i] = V::fma(V::set(factors[r]), V::load(rows + r * stride + k + i * kLanes), sums[i]);
            for (int i = 0; i < 4; ++i) V::store(x + k + i * kLanes, sums[i]);
        }
        for (; k < cols; k += kLanes) {
            const int64_t n = cols - k < kLanes ? cols - k : kLanes;
            Reg sum = V::load(x + k, n);
            for (int64_t r = 0; r < count; ++r) sum = V::fma(V::set(factors[r]), V::load(rows + r * stride + k, n), sum);
            V::store(x + k, sum, n);
        }
    }

    static void to_float16(const float* x, int64_t count, uint16_t* out) {
        sweep(count, [&](int64_t k) { V::store_half(out + k, V::load(x + k)); },
              [&](int64_t k, int64_t n) {
                  for (int64_t i = k; i < k + n; ++i) out[i] = float_to_fp16(x[i]);
              });
    }

    static void fill(KernelTable& table, Isa isa) {
        table.rms_norm.set(rms_norm, isa);
        table.gated_group_norm.set(gated_group_norm, isa);
        table.relu2.set(relu2, isa);
        table.swiglu.set(swiglu, isa);
        table.add.set(add, isa);
        table.add_rows.set(add_rows, isa);
        table.to_float16.set(to_float16, isa);
    }
};

}  // namespace mambino
