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
constexpr uint64_t kTakenMask = 0xffffffff;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
    check(num_threads >= 1 && num_threads <= kMaxThreads, "[threads] expected 1 to ", kMaxThreads, " threads, got ",
          num_threads);
    for (int i = 1; i < num_threads; ++i) workers_.emplace_back([this, i] { worker_loop(i); });
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
        for (int64_t begin = 0; begin < count; begin += grain) piece(context, 0, begin, std::min(begin + grain, count));
        return;
    }
    const int64_t pieces = (count + grain - 1) / grain;
    check(pieces <= static_cast<int64_t>(kTakenMask), "[threads] too many pieces: ", pieces);
    piece_ = piece, context_ = context, count_ = count, grain_ = grain;
    unfinished_.store(pieces, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(job << 32 | static_cast<uint64_t>(pieces), std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
        { std::lock_guard lock(mutex_); }  // a sleeper is now either before its check of ticket_ or inside wait
        wake_.notify_all();
    }
    work(0);
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins) relax();
        else std::this_thread::yield();
    }
}

void ThreadPool::work(int thread) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (const uint64_t left = ticket & kTakenMask) {
        if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
        const int64_t pieces = (count_ + grain_ - 1) / grain_;
        const int64_t begin = (pieces - static_cast<int64_t>(left)) * grain_;
        piece_(context_, thread, begin, std::min(begin + grain_, count_));
        unfinished_.fetch_sub(1, std::memory_order_release);
        ticket = ticket_.load(std::memory_order_acquire);
    }
}

void ThreadPool::worker_loop(int thread) {
    uint64_t seen = 0;  // number of the last job worked on
    const auto is_new = [&] { return ticket_.load(std::memory_order_seq_cst) >> 32 != seen; };
    for (;;) {
        for (int spins = 0; !is_new() && spins < kSpins; ++spins) relax();
        if (!is_new()) {
            std::unique_lock lock(mutex_);
            sleepers_.fetch_add(1, std::memory_order_seq_cst);
            wake_.wait(lock, [&] { return stop_ || is_new(); });
            sleepers_.fetch_sub(1, std::memory_order_seq_cst);
            if (stop_) return;
        }
        seen = ticket_.load(std::memory_order_acquire) >> 32;
        work(thread);
    }
}

}  // namespace mambino
