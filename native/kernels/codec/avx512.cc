// AVX-512 quantisation of activations; the same bits as the reference. Decoding stays with AVX2: only rows of the
// embedding and the float32 products need it.
#include <immintrin.h>

#include "kernels/table.h"
#include "kernels/codec/q8.h"

namespace mambino {
namespace {

void quantize_q8_avx512(const float* x, int64_t cols, int8_t* q8, float* scale, int32_t* sum16) {
    const __m512 huge = _mm512_set1_ps(kQ8Huge);
    for (int64_t b = 0; b < cols / 32; ++b, x += 32, q8 += 32, sum16 += 2) {
        const __m512 v[2] = {_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16)};
        const __m512 size[2] = {_mm512_abs_ps(v[0]), _mm512_abs_ps(v[1])};
        const bool is_finite = _mm512_cmp_ps_mask(size[0], huge, _CMP_NLE_UQ) == 0 &&
                               _mm512_cmp_ps_mask(size[1], huge, _CMP_NLE_UQ) == 0;
        const Q8Scale s = q8_scale(_mm512_reduce_max_ps(_mm512_max_ps(size[0], size[1])), is_finite);
        const __m512 inverse = _mm512_set1_ps(s.inverse);
        for (int i = 0; i < 2; ++i) {
            const __m512i q = s.inverse ? _mm512_cvtps_epi32(_mm512_mul_ps(v[i], inverse)) : _mm512_setzero_si512();
            _mm_storeu_si128(reinterpret_cast<__m128i*>(q8 + 16 * i), _mm512_cvtsepi32_epi8(q));
            sum16[i] = _mm512_reduce_add_epi32(q);
        }
        scale[b] = s.scale;
    }
}

}  // namespace

void fill_codec_avx512(KernelTable& table) { table.quantize_q8.set(quantize_q8_avx512, Isa::kAvx512); }

}  // namespace mambino
