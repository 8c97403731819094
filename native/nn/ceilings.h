// What this machine could do at most, measured: memory read and int8 products on all threads at once.
#pragma once

namespace mambino {

struct Ceilings {
    double read_bytes_per_s;
    double int8_ops_per_s;  // a multiplication and an addition are two; 0 where no vector instruction set serves
};

// Takes half a second and 256 MB.
Ceilings measure_ceilings(int num_threads);

}  // namespace mambino
