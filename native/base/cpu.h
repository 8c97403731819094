// What the processor and the operating system let this process execute.
#pragma once

namespace mambino {

struct CpuFeatures {
    bool avx2;    // AVX2, FMA and F16C, with the OS saving ymm registers
    bool avx512;  // AVX-512 F, BW, DQ, VL and VNNI, with the OS saving zmm and mask registers
};

const CpuFeatures& cpu_features();

}  // namespace mambino
