// elementwise with AVX-512 vectors.
#include "kernels/elementwise/vector.h"
#include "kernels/simd/avx512.h"

namespace mambino {

void fill_elementwise_avx512(KernelTable& table) { Elementwise<Avx512>::fill(table, Isa::kAvx512); }

}  // namespace mambino
