// exp and silu for any vector type of kernels/simd.
#pragma once

#include <initializer_list>

namespace mambino {

// exp(x), within 2 ulp for -87 <= x <= 88; smaller x give about 1e-38, larger about 1.6e38.
// x = n ln2 + r, |r| <= ln2 / 2; exp(r) by its Taylor series to r^7 (relative error below 2^-25 there); times 2^n.
template <class V>
static inline typename V::Reg vector_exp(typename V::Reg x) {
    x = V::min(V::max(x, V::set(-87.0f)), V::set(88.0f));
    const auto n = V::round(V::mul(x, V::set(1.44269504f)));
    auto r = V::fma(n, V::set(-0.693359375f), x);   // ln2 in two parts: n * high is exact
    r = V::fma(n, V::set(2.12194440e-4f), r);
    auto p = V::set(1.0f / 5040.0f);
    for (const float coefficient : {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f})
        p = V::fma(p, r, V::set(coefficient));
    return V::scale_by_power_of_two(p, n);
}

template <class V>
static inline typename V::Reg vector_silu(typename V::Reg x) {
    return V::div(x, V::add(V::set(1.0f), vector_exp<V>(V::sub(V::zero(), x))));
}

}  // namespace mambino
