// The many-token kernels of AVX-512 by type, for gemv, which hands over to them from a few tokens on.
#pragma once

#include "kernels/table.h"

namespace mambino {

// Rows may start anywhere. Null for float types.
MatmulKernel gemm_avx512(DType type);

}  // namespace mambino
