// ssm with AVX-512 vectors.
#include "kernels/ssm/vector.h"
#include "kernels/simd/avx512.h"

namespace mambino {

void fill_ssm_avx512(KernelTable& table) { Ssm<Avx512>::fill(table, Isa::kAvx512); }

}  // namespace mambino
