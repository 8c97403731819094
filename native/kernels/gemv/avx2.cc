#include "kernels/gemm/float_product.h"
#include "kernels/gemm/float_vector_avx2.h"
#include "kernels/table.h"

namespace mambino {

void fill_gemv_avx2(KernelTable& table) {
    set_gemv_float<VectorAvx2>(table, Isa::kAvx2, std::make_integer_sequence<int, kNumDTypes>{});
}

}  // namespace mambino
