// Speed of every matrix product beside this core's own limits: gemv in GB/s of weights read, gemm in int8 TOPS.
//
// Usage: bench_matmul [isa [type]]. One thread. Best (and median) of many short pieces in turns with the limit, so a
// busy neighbour shows as a gap, in processor time of this thread. Limits: a loop of independent vpdpbusd, and a
// prefetch-friendly read of more than the caches hold.
#include <immintrin.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>

#include "base/aligned.h"
#include "random_product.h"

namespace mambino::testing {
namespace {

double now_s() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Best and median speed of some work, and the best of the machine's limit measured in turns with it.
struct Speed {
    double best, median, limit;
};

// work(i) and limit(i) return a speed each; they alternate, so that a busy neighbour slows both.
template <class Work, class Limit>
Speed measure(int repetitions, const Work& work, const Limit& limit) {
    std::vector<double> speeds;
    double ceiling = 0;
    for (int i = 0; i < repetitions; ++i) {
        ceiling = std::max(ceiling, limit(i));
        speeds.push_back(work(i));
    }
    std::sort(speeds.begin(), speeds.end());
    return {speeds.back(), speeds[speeds.size() / 2], ceiling};
}

// Tera-operations a second of 14 independent chains of vpdpbusd. Assembly: compilers add moves to such a loop.
double peak_tera(int) {
    constexpr int64_t kRounds = 20000;
    int64_t rounds = kRounds;
    const double start = now_s();
#define CHAIN(n) "vpdpbusd %%zmm16, %%zmm17, %%zmm" #n "\n"
    asm volatile("1:\n" CHAIN(0) CHAIN(1) CHAIN(2) CHAIN(3) CHAIN(4) CHAIN(5) CHAIN(6) CHAIN(7) CHAIN(8) CHAIN(9) CHAIN(10)
                     CHAIN(11) CHAIN(12) CHAIN(13) "dec %0\njnz 1b\n"
                 : "+r"(rounds)
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                   "xmm13", "xmm16", "xmm17", "cc");
#undef CHAIN
    return 2e-12 * 64 * 14 * kRounds / (now_s() - start);
}

// More bytes than the caches hold, read a piece at a time so that no piece is still cached when its turn comes again.
constexpr int64_t kStreamBytes = int64_t{256} << 20, kPieceBytes = int64_t{4} << 20;

double read_giga(const uint8_t* bytes, int i) {
    const uint8_t* piece = bytes + (2 * i + 1) * kPieceBytes % kStreamBytes;
    __m512i sum[4] = {};
    const double start = now_s();
    for (int64_t k = 0; k < kPieceBytes; k += 256)
        for (int64_t j = 0; j < 4; ++j) {
            _mm_prefetch(reinterpret_cast<const char*>(piece + k + 64 * j + 2048), _MM_HINT_T0);
            sum[j] = _mm512_xor_si512(sum[j], _mm512_load_si512(piece + k + 64 * j));
        }
    const double elapsed = now_s() - start;
    const __m512i all = _mm512_xor_si512(_mm512_xor_si512(sum[0], sum[1]), _mm512_xor_si512(sum[2], sum[3]));
    volatile int sink = _mm512_reduce_add_epi32(all);
    (void)sink;
    return static_cast<double>(kPieceBytes) / elapsed / 1e9;
}

struct Bench {
    DType type;
    int64_t cols;
    uint8_t* bytes;
    std::mt19937 random{1};

    Bench(DType type, uint8_t* bytes) : type(type), cols(dtype_info(type).block_size == 256 ? 7680 : 3136), bytes(bytes) {
        const int64_t rows = kStreamBytes / 64 / row_nbytes(type, cols), filled = rows * row_nbytes(type, cols);
        fill_weights(type, rows * cols, Scales::kRandom, random, bytes);
        for (int64_t at = filled; at + filled <= kStreamBytes; at += filled)
            std::memcpy(bytes + at, bytes, static_cast<size_t>(filled));
    }

    Speed gemv(const KernelTable& table, int64_t tokens) {
        const MatmulKernel run = table.gemv[static_cast<size_t>(type)].run;
        const int64_t nbytes = row_nbytes(type, cols), rows = kStreamBytes / nbytes, piece = kPieceBytes / nbytes;
        RandomActivations activations(tokens, cols, Scales::kRandom, random);
        const Activations x = activations.packed_for(table, type);
        AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(cols));
        std::vector<float> y(static_cast<size_t>(rows * tokens));
        const auto work = [&](int i) {
            const int64_t begin = 2 * i % (rows / piece) * piece;
            const double start = now_s();
            run({type, rows, cols, bytes}, begin, begin + piece, x, y.data(), rows, scratch.data());
            return static_cast<double>(piece * nbytes) / (now_s() - start) / 1e9;
        };
        return measure(150, work, [&](int i) { return read_giga(bytes, i); });
    }

    Speed gemm(const KernelTable& table, int64_t rows, int64_t tokens) {
        const MatmulKernel run = table.gemm[static_cast<size_t>(type)].run;
        RandomActivations activations(tokens, cols, Scales::kRandom, random);
        const Activations x = activations.packed_for(table, type);
        AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(cols));
        std::vector<float> y(static_cast<size_t>(rows * tokens));
        const auto work = [&](int) {
            const double start = now_s();
            run({type, rows, cols, bytes}, 0, rows, x, y.data(), rows, scratch.data());
            return 2e-12 * static_cast<double>(rows * cols * tokens) / (now_s() - start);
        };
        return measure(tokens > 100 ? 40 : 150, work, peak_tera);
    }
};

void print_speed(const char* label, int64_t tokens, const Speed& speed, const char* unit) {
    std::printf("  %s %lld: %6.3f (%6.3f) %s %3.0f%%", label, static_cast<long long>(tokens), speed.best, speed.median, unit,
                100 * speed.best / speed.limit);
}

void bench_type(DType type, Isa isa, uint8_t* bytes) {
    const KernelTable table = kernel_table(isa);
    const auto i = static_cast<size_t>(type);
    Bench bench(type, bytes);
    std::printf("%-7s %-9s", dtype_info(type).name, isa_name(table.gemv[i].isa));
    for (int64_t tokens : {1, 2, 4}) print_speed("gemv", tokens, bench.gemv(table, tokens), "GB/s");
    for (int64_t tokens : {5, 8, 25}) print_speed("gemm", tokens, bench.gemm(table, 512, tokens), "TOPS");
    print_speed("gemm", 512, bench.gemm(table, 736, 512), "TOPS");
    std::printf("\n");
    std::fflush(stdout);
}

}  // namespace
}  // namespace mambino::testing

int main(int argc, char** argv) {
    using namespace mambino;
    using namespace mambino::testing;
    if (best_isa() != Isa::kAvx512) {
        std::printf("bench_matmul needs AVX-512 VNNI for its limits\n");
        return 1;
    }
    AlignedBuffer<uint8_t> bytes(kStreamBytes);
    std::memset(bytes.data(), 1, kStreamBytes);
    const Speed limit = measure(150, peak_tera, [&](int i) { return read_giga(bytes.data(), i); });
    std::printf("this core: %.3f (%.3f) int8 TOPS (vpdpbusd), %.2f GB/s read; best (median), %% of the limit at the time\n",
                limit.best, limit.median, limit.limit);
    for (Isa isa : {Isa::kAvx512, Isa::kAvx2})
        for (int type = 0; type < kNumDTypes; ++type) {
            if (argc > 1 && std::string(argv[1]) != isa_name(isa)) continue;
            if (argc > 2 && std::string(argv[2]) != kDTypes[type].name) continue;
            bench_type(static_cast<DType>(type), isa, bytes.data());
        }
    return 0;
}
