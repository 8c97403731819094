// ssm with AVX2 vectors.
#include "kernels/ssm/vector.h"
#include "kernels/simd/avx2.h"

namespace mambino {

void fill_ssm_avx2(KernelTable& table) { Ssm<Avx2>::fill(table, Isa::kAvx2); }

}  // namespace mambino
