// Low-rank additions to the weights, for some sequences only: y += B (A x), in float32, beside the product with the weight.
//
// A is one matrix. B is given in blocks of rows that each read a run of columns: a fused weight (in_proj) has one a part.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "base/aligned.h"
#include "kernels/table.h"

namespace mambino {

// Rows [row, row + rows) of a product get b times values [column, column + cols) of A x. b lies column after column, so that a
// token's rows are sums of whole columns.
struct LowRankBlock {
    int64_t row, column, rows, cols;
    const float* b;
};

struct LowRank {
    Matrix a;  // [rank][columns of the weight]
    std::vector<LowRankBlock> blocks;
};

// What is added to which weights of one engine. Holds copies of all factors; immutable once states have it.
class Adapter {
  public:
    struct BlockValues {
        int64_t row, column, rows, cols;
        std::span<const float> values;  // [rows][cols]
    };

    Adapter() = default;
    Adapter(const Adapter&) = delete;
    Adapter& operator=(const Adapter&) = delete;

    // Throws Error if the factors do not fit w, which must outlive this, or w has some already.
    void add(const Matrix& w, int64_t rank, std::span<const float> a, std::span<const BlockValues> blocks);

    // What is added to w; null for nothing.
    const LowRank* find(const Matrix& w) const;
    int64_t widest_rank() const { return widest_rank_; }
    size_t nbytes() const { return nbytes_; }

  private:
    float* room(size_t floats);

    std::unordered_map<const Matrix*, LowRank> added_;
    std::vector<AlignedBuffer<float>> memory_;
    int64_t widest_rank_ = 0;
    size_t nbytes_ = 0;
};

}  // namespace mambino
