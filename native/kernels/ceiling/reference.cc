// Reading memory needs no instruction set: eight sums keep enough loads in flight.
#include "kernels/ceiling/ceiling.h"

namespace mambino {

uint64_t read_words(const uint64_t* words, int64_t count) {
    uint64_t sums[8] = {};
    for (int64_t i = 0; i < count; i += 8)
        for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
    uint64_t total = 0;
    for (const uint64_t sum : sums) total += sum;
    return total;
}

}  // namespace mambino
