// attention with AVX-512 vectors.
#include "kernels/attention/vector.h"
#include "kernels/simd/avx512.h"

namespace mambino {

void fill_attention_avx512(KernelTable& table) {
    Attention<Avx512, uint16_t>::fill(table.attention, Isa::kAvx512);
    Attention<Avx512, float>::fill(table.attention_float, Isa::kAvx512);
    Attention<Avx512, int8_t>::fill(table.attention_q8, Isa::kAvx512);
}

}  // namespace mambino
