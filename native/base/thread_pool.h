// A fixed team of threads that run one job together: spin a little, then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace mambino {

class ThreadPool {
  public:
    // num_threads includes the caller of run; 1 starts no thread.
    explicit ThreadPool(int num_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Call body(thread, begin, end) over [0, count) in pieces of at most grain, on all threads; returns when all are done.
    // thread, 0 <= thread < num_threads, owns its scratch. Pieces are taken from a shared counter, so a thread whose core is busy elsewhere takes fewer; which thread runs a
    // piece never changes a result. body must not throw.
    template <class Body>
    void parallel_for(int64_t count, int64_t grain, const Body& body) {
        using Plain = std::remove_reference_t<Body>;
        run(count, grain, [](const void* context, int thread, int64_t begin, int64_t end) {
            (*static_cast<const Plain*>(context))(thread, begin, end);
        }, &body);
    }

  private:
    using Piece = void (*)(const void* context, int thread, int64_t begin, int64_t end);

    void run(int64_t count, int64_t grain, Piece piece, const void* context);
    void work(int thread);
    void worker_loop(int thread);

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;

    // The job: written by run before ticket_ is published, stable until its last piece is done.
    Piece piece_ = nullptr;
    const void* context_ = nullptr;
    int64_t count_ = 0, grain_ = 1;
    // High half: number of the job. Low half: pieces not yet taken. A thread that slept through a job can take nothing
    // from the next one by mistake, so run need not wait for it.
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<int64_t> unfinished_{0};  // pieces
    std::atomic<int> sleepers_{0};
};

}  // namespace mambino
