// Fills a KernelTable from the reference kernels up to the wanted instruction set.
#include "base/check.h"
#include "base/cpu.h"
#include "kernels/table.h"

namespace mambino {

const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::kReference: return "reference";
        case Isa::kAvx2: return "avx2";
        case Isa::kAvx512: return "avx512";
    }
    return "unknown";
}

Isa best_isa() {
    const CpuFeatures& cpu = cpu_features();
    return cpu.avx512 ? Isa::kAvx512 : cpu.avx2 ? Isa::kAvx2 : Isa::kReference;
}

KernelTable kernel_table(Isa isa) {
    check(isa <= best_isa(), "[kernels] this machine lacks ", isa_name(isa), "; its best instruction set is ",
          isa_name(best_isa()));
    KernelTable table;
    fill_codec_reference(table);
    fill_products_reference(table);
    fill_ssm_reference(table);
    fill_attention_reference(table);
    fill_elementwise_reference(table);
#if defined(__x86_64__)
    if (isa >= Isa::kAvx2) {
        fill_codec_avx2(table);
        fill_gemv_avx2(table);
        fill_gemm_avx2(table);
        fill_ssm_avx2(table);
        fill_attention_avx2(table);
        fill_elementwise_avx2(table);
    }
    if (isa >= Isa::kAvx512) {
        fill_codec_avx512(table);
        fill_gemv_avx512(table);
        fill_gemm_avx512(table);
        fill_ssm_avx512(table);
        fill_attention_avx512(table);
        fill_elementwise_avx512(table);
    }
#endif
    return table;
}

}  // namespace mambino
