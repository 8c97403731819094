// Speed of every matrix product beside this core's own limits: gemv in GB/s of weights read, gemm in int8 TOPS.
//
// Usage: bench_matmul [isa [type]]. One thread. Best (and median) of many short pieces, so a busy neighbour shows as a
// gap between the two. Limits: a loop of independent vpdpbusd, and a prefetch-friendly read of more than the caches hold.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "base/aligned.h"
#include "base/cpu.h"
#include "random_product.h"

namespace mambino::testing {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Timing {
    double best, median;
};

template <class Work>
Timing seconds(int repetitions, const Work& work) {
    std::vector<double> times;
    for (int i = 0; i < repetitions; ++i) {
        const double start = now_s();
        work(i);
        times.push_back(now_s() - start);
    }
    std::sort(times.begin(), times.end());
    return {times.front(), times[times.size() / 2]};
}

double peak_tops() {
    constexpr int kRounds = 200000, kChains = 16;
    const auto loop = [](int) {
        __m512i sum[kChains], w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(5);
        for (__m512i& s : sum) s = _mm512_setzero_si512();
        for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
            for (int c = 0; c < kChains; ++c) sum[c] = _mm512_dpbusd_epi32(sum[c], w, x);
            asm volatile("" : "+v"(w), "+v"(x));
        }
        for (int c = 1; c < kChains; ++c) sum[0] = _mm512_add_epi32(sum[0], sum[c]);
        volatile int sink = _mm512_reduce_add_epi32(sum[0]);
        (void)sink;
    };
    return 2.0 * 64 * kChains * kRounds / seconds(30, loop).best / 1e12;
}

constexpr size_t kStreamBytes = size_t{256} << 20, kPieceBytes = size_t{8} << 20;

double read_gb_per_s(const uint8_t* bytes) {
    const auto loop = [&](int i) {
        const uint8_t* piece = bytes + static_cast<size_t>(i) % (kStreamBytes / kPieceBytes) * kPieceBytes;
        __m512i sum[4] = {};
        for (size_t k = 0; k < kPieceBytes; k += 256)
            for (size_t j = 0; j < 4; ++j) {
                _mm_prefetch(reinterpret_cast<const char*>(piece + k + 64 * j + 2048), _MM_HINT_T0);
                sum[j] = _mm512_xor_si512(sum[j], _mm512_load_si512(piece + k + 64 * j));
            }
        volatile int sink = _mm512_reduce_add_epi32(_mm512_xor_si512(_mm512_xor_si512(sum[0], sum[1]), _mm512_xor_si512(sum[2], sum[3])));
        (void)sink;
    };
    return static_cast<double>(kPieceBytes) / seconds(96, loop).best / 1e9;
}

Timing gemv_seconds(const MatmulKernel run, DType type, int64_t cols, int64_t tokens, uint8_t* bytes, double* piece_bytes) {
    std::mt19937 random(1);
    const int64_t nbytes = row_nbytes(type, cols), rows = static_cast<int64_t>(kStreamBytes) / nbytes;
    const int64_t piece_rows = static_cast<int64_t>(kPieceBytes) / nbytes, pieces = rows / piece_rows;
    *piece_bytes = static_cast<double>(piece_rows * nbytes);
    const RandomActivations x(tokens, cols, Scales::kRandom, random);
    AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(cols));
    std::vector<float> y(static_cast<size_t>(rows * tokens));
    return seconds(static_cast<int>(2 * pieces), [&](int i) {
        const int64_t begin = i % pieces * piece_rows;
        run({type, rows, cols, bytes}, begin, begin + piece_rows, x.view(), y.data(), rows, scratch.data());
    });
}

Timing gemm_seconds(const MatmulKernel run, DType type, int64_t rows, int64_t cols, int64_t tokens, uint8_t* bytes) {
    std::mt19937 random(1);
    const RandomActivations x(tokens, cols, Scales::kRandom, random);
    AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(cols));
    std::vector<float> y(static_cast<size_t>(rows * tokens));
    return seconds(12, [&](int) { run({type, rows, cols, bytes}, 0, rows, x.view(), y.data(), rows, scratch.data()); });
}

void bench_type(DType type, Isa isa, uint8_t* bytes, double peak, double bandwidth) {
    const KernelTable table = kernel_table(isa);
    const DTypeInfo& info = dtype_info(type);
    const int64_t cols = info.block_size == 256 ? 7680 : 3136;
    std::mt19937 random(1);
    const int64_t values = static_cast<int64_t>(kStreamBytes) / row_nbytes(type, cols) * cols;
    fill_weights(type, values / 64 / cols * cols, Scales::kRandom, random, bytes);  // then copies of the first 64th
    const int64_t filled = row_nbytes(type, values / 64 / cols * cols);
    for (int64_t at = filled; at + filled <= static_cast<int64_t>(kStreamBytes); at += filled) std::memcpy(bytes + at, bytes, static_cast<size_t>(filled));

    const auto i = static_cast<size_t>(type);
    std::printf("%-7s %-9s gemv", info.name, isa_name(table.gemv[i].isa));
    for (int64_t tokens : {1, 4, 8}) {
        double nbytes;
        const Timing t = gemv_seconds(table.gemv[i].run, type, cols, tokens, bytes, &nbytes);
        std::printf("  %lld: %5.2f (%5.2f) GB/s %3.0f%%", static_cast<long long>(tokens), nbytes / t.best / 1e9, nbytes / t.median / 1e9,
                    nbytes / t.best / 1e7 / bandwidth);
    }
    std::printf("  gemm");
    for (int64_t tokens : {16, 512}) {
        const int64_t rows = tokens == 512 ? 256 : 1024;
        const Timing t = gemm_seconds(table.gemm[i].run, type, rows, cols, tokens, bytes);
        const double tera = 2e-12 * static_cast<double>(rows * cols * tokens);
        std::printf("  %lld: %.3f (%.3f) TOPS %3.0f%%", static_cast<long long>(tokens), tera / t.best, tera / t.median, 100 * tera / t.best / peak);
    }
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
    const double peak = peak_tops(), bandwidth = read_gb_per_s(bytes.data());
    std::printf("this core: %.3f int8 TOPS (vpdpbusd), %.2f GB/s read; best (median)\n", peak, bandwidth);
    for (Isa isa : {Isa::kAvx512, Isa::kAvx2})
        for (int type = 0; type < kNumDTypes; ++type) {
            const bool wanted = (argc < 2 || std::string(argv[1]) == isa_name(isa)) && (argc < 3 || std::string(argv[2]) == kDTypes[type].name);
            if (wanted) bench_type(static_cast<DType>(type), isa, bytes.data(), peak, bandwidth);
        }
    return 0;
}
