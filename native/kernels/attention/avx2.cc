// attention with AVX2 vectors.
#include "kernels/attention/vector.h"
#include "kernels/simd/avx2.h"

namespace mambino {

void fill_attention_avx2(KernelTable& table) {
    Attention<Avx2, uint16_t>::fill(table.attention, Isa::kAvx2);
    Attention<Avx2, float>::fill(table.attention_float, Isa::kAvx2);
    Attention<Avx2, int8_t>::fill(table.attention_q8, Isa::kAvx2);
}

}  // namespace mambino
