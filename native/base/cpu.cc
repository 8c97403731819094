// __builtin_cpu_supports reads CPUID and checks XGETBV, so a feature that the OS does not save counts as absent.
#include "base/cpu.h"

namespace mambino {

const CpuFeatures& cpu_features() {
    static const CpuFeatures features = [] {
#if defined(__x86_64__)
        __builtin_cpu_init();
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
        const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512vnni");
        return CpuFeatures{avx2, avx512};
#else
        return CpuFeatures{false, false};
#endif
    }();
    return features;
}

}  // namespace mambino
