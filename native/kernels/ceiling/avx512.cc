// vpdpbusd with nothing around it: 16 sums hide its latency. Assembly, because compilers add moves to such a loop.
#include "kernels/ceiling/ceiling.h"

namespace mambino {

int32_t multiply_int8_avx512(int64_t rounds) {
    int32_t last;
#define SUM(n) "vpdpbusd %%zmm17, %%zmm16, %%zmm" #n "\n"
    asm volatile("1:\n" SUM(0) SUM(1) SUM(2) SUM(3) SUM(4) SUM(5) SUM(6) SUM(7) SUM(8) SUM(9) SUM(10) SUM(11) SUM(12) SUM(13)
                     SUM(14) SUM(15) "dec %0\njnz 1b\nvmovd %%xmm0, %1\n"
                 : "+r"(rounds), "=r"(last)
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                   "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "cc");
#undef SUM
    return last;
}

}  // namespace mambino
