#include "kernels/table.h"

namespace mambino {

void fill_gemv_avx512(KernelTable&) {}

}  // namespace mambino
