// The thread pool runs every piece exactly once, however the threads are scheduled. Exit code 1 on failure.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/thread_pool.h"

int main() {
    using namespace mambino;
    int failures = 0;
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        for (int round = 0; round < 3000; ++round) {
            const int64_t count = round % 97, grain = 1 + round % 5;
            std::unique_ptr<std::atomic<int>[]> seen(new std::atomic<int>[count + 1]());
            pool.parallel_for(count, grain, [&](int thread, int64_t begin, int64_t end) {
                if (thread < 0 || thread >= threads || end - begin > grain) ++seen[count];
                for (int64_t i = begin; i < end; ++i) ++seen[i];
            });
            for (int64_t i = 0; i < count; ++i) failures += seen[i] != 1;
            failures += seen[count] != 0;
            if (round % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // let the workers fall asleep
        }
    }
    std::printf("thread pool: %d failures\n", failures);
    return failures != 0;
}
