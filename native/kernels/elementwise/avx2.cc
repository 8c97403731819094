// elementwise with AVX2 vectors.
#include "kernels/elementwise/vector.h"
#include "kernels/simd/avx2.h"

namespace mambino {

void fill_elementwise_avx2(KernelTable& table) { Elementwise<Avx2>::fill(table, Isa::kAvx2); }

}  // namespace mambino
