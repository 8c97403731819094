#include "nn/ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/ceiling/ceiling.h"
#include "kernels/table.h"

namespace mambino {
namespace {

constexpr int64_t kWords = int64_t{1} << 25;  // 256 MB: no cache holds them
constexpr int64_t kRounds = int64_t{1} << 19;
constexpr int kRepeats = 7;

// The best of several times: what the machine can do, not what it did while something else ran.
template <class Body>
double least_seconds(const Body& body) {
    double best = 1e9;
    for (int i = 0; i < kRepeats; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        body();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
}

}  // namespace

Ceilings measure_ceilings(int num_threads) {
    ThreadPool pool(num_threads);
    AlignedBuffer<uint64_t> words(kWords);
    std::atomic<uint64_t> sink{0};  // keeps the loops from being optimised away
    const int64_t share = (kWords / num_threads) & ~int64_t{7};
    pool.parallel_for(num_threads, 1, [&](int, int64_t begin, int64_t) { std::memset(words.data() + begin * share, 1, share * 8); });
    const double read_s = least_seconds([&] {
        pool.parallel_for(num_threads, 1, [&](int, int64_t begin, int64_t) { sink += read_words(words.data() + begin * share, share); });
    });
    Ceilings ceilings{static_cast<double>(share * num_threads * 8) / read_s, 0.0};
#if defined(__x86_64__)
    const Isa isa = best_isa();
    if (isa != Isa::kReference) {
        const auto multiply = isa == Isa::kAvx512 ? multiply_int8_avx512 : multiply_int8_avx2;
        const int64_t ops = isa == Isa::kAvx512 ? kInt8OpsAvx512 : kInt8OpsAvx2;
        const double int8_s = least_seconds([&] {
            pool.parallel_for(num_threads, 1, [&](int, int64_t, int64_t) { sink += static_cast<uint64_t>(multiply(kRounds)); });
        });
        ceilings.int8_ops_per_s = static_cast<double>(ops * kRounds * num_threads) / int8_s;
    }
#endif
    return ceilings;
}

}  // namespace mambino
