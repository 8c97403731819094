#include "base/thread_pool.h"

#include <algorithm>

#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mambino {
namespace {

// About 50 microseconds of spinning: longer than the serial gaps between the products of one layer, shorter than a
// scheduler slice, so an idle engine costs no core.
constexpr int kSpins = 2000;
constexpr int kMaxThreads = 256;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
    check(num_threads >= 1 && num_threads <= kMaxThreads, "[threads] expected 1 to ", kMaxThreads, " threads, got ",
          num_threads);
    for (int i = 1; i < num_threads; ++i) workers_.emplace_back([this] { worker_loop(); });
}

ThreadPool::~ThreadPool() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t count, int64_t grain, Piece piece, const void* context) {
    if (count <= 0) return;
    if (workers_.empty() || count <= grain) {
        for (int64_t begin = 0; begin < count; begin += grain) piece(context, begin, std::min(begin + grain, count));
        return;
    }
    piece_ = piece, context_ = context, count_ = count, grain_ = grain;
    next_.store(0, std::memory_order_relaxed);
    pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    job_.store(job_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
        { std::lock_guard lock(mutex_); }  // a sleeper is either before its check of job_ or inside wait
        wake_.notify_all();
    }
    work();
    // Every worker reports, even one that found nothing left: then no late thread can touch the next job.
    for (int spins = 0; pending_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins) relax();
        else std::this_thread::yield();
    }
}

void ThreadPool::work() {
    for (;;) {
        const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
        if (begin >= count_) return;
        piece_(context_, begin, std::min(begin + grain_, count_));
    }
}

void ThreadPool::worker_loop() {
    uint64_t seen = 0;
    for (;;) {
        int spins = 0;
        while (job_.load(std::memory_order_acquire) == seen && spins < kSpins) relax(), ++spins;
        if (job_.load(std::memory_order_acquire) == seen) {
            std::unique_lock lock(mutex_);
            sleepers_.fetch_add(1, std::memory_order_seq_cst);
            wake_.wait(lock, [&] { return stop_ || job_.load(std::memory_order_seq_cst) != seen; });
            sleepers_.fetch_sub(1, std::memory_order_seq_cst);
            if (stop_) return;
        }
        seen = job_.load(std::memory_order_acquire);
        work();
        pending_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace mambino
