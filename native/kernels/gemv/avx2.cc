#include "kernels/table.h"

namespace mambino {

void fill_gemv_avx2(KernelTable&) {}

}  // namespace mambino
