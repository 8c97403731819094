// Adapters: the factors as values, and how a pass adds them. Start at Engine::add_adapted.
#include "nn/adapter.h"

#include <algorithm>

#include "base/check.h"
#include "nn/engine.h"

namespace mambino {
namespace {

constexpr int64_t kDownRows = 16, kDownTokens = 32;  // of A x in one job
constexpr int64_t kUpRows = 256;   // rows of B in one job: for a rank of 16 they stay in L1 while all tokens pass

int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace

void Adapter::add(const Matrix& w, int64_t rank, std::span<const float> a, std::span<const BlockValues> blocks) {
    check(rank > 0 && static_cast<int64_t>(a.size()) == rank * w.cols, "[adapter] expected ", rank, " x ", w.cols, " values of A, got ", a.size());
    check(!added_.contains(&w), "[adapter] a weight is given twice");
    for (const BlockValues& block : blocks)
        check(block.row >= 0 && block.rows > 0 && block.row + block.rows <= w.rows && block.column >= 0 && block.cols > 0 &&
                  block.column + block.cols <= rank && static_cast<int64_t>(block.values.size()) == block.rows * block.cols,
              "[adapter] a block of B of ", block.rows, " x ", block.cols, " at (", block.row, ", ", block.column,
              ") does not fit a weight of ", w.rows, " rows and rank ", rank);
    LowRank& added = added_[&w];
    float* down = room(a.size());
    std::copy(a.begin(), a.end(), down);
    added.a = {DType::kF32, rank, w.cols, reinterpret_cast<const uint8_t*>(down)};
    for (const BlockValues& block : blocks) {
        float* b = room(block.values.size());
        for (int64_t row = 0; row < block.rows; ++row)
            for (int64_t column = 0; column < block.cols; ++column)
                b[column * block.rows + row] = block.values[static_cast<size_t>(row * block.cols + column)];
        added.blocks.push_back({block.row, block.column, block.rows, block.cols, b});
    }
    widest_rank_ = std::max(widest_rank_, rank);
}

const LowRank* Adapter::find(const Matrix& w) const {
    const auto found = added_.find(&w);
    return found == added_.end() ? nullptr : &found->second;
}

float* Adapter::room(size_t floats) {
    nbytes_ += floats * sizeof(float);
    return memory_.emplace_back(floats).data();
}

void Engine::reserve_adapters(std::span<SequenceState* const> states, int64_t rows) {
    int64_t rank = 0;
    for (const SequenceState* state : states)
        if (state->adapter()) rank = std::max(rank, state->adapter()->widest_rank());
    if (rank == 0) return;
    row_adapters_.reserve(static_cast<size_t>(rows));
    low_rank_.reserve(rows * rank);
    for (auto& scratch : gemm_scratch_) scratch.reserve(gemm_scratch_nbytes(std::max(widest_input_, rank)));
}

void Engine::note_adapters(std::span<const Segment> segments, int64_t rows) {
    row_adapters_.clear();
    const auto has_adapter = [](const Segment& segment) { return segment.state->adapter() != nullptr; };
    if (std::none_of(segments.begin(), segments.end(), has_adapter)) return;
    row_adapters_.resize(static_cast<size_t>(rows));
    for (const Segment& segment : segments) std::fill_n(row_adapters_.begin() + segment.begin, segment.count, segment.state->adapter());
}

void Engine::add_adapted(const Matrix& w, const Activations& x, float* y, int64_t y_stride) {
    for (int64_t begin = 0, end; begin < x.tokens; begin = end) {
        const Adapter* adapter = row_adapters_[static_cast<size_t>(begin)];
        for (end = begin + 1; end < x.tokens && row_adapters_[static_cast<size_t>(end)] == adapter;) ++end;
        const LowRank* added = adapter ? adapter->find(w) : nullptr;
        if (added) add_low_rank(*added, x.values + begin * x.values_stride, x.values_stride, end - begin, y + begin * y_stride, y_stride);
    }
}

void Engine::add_low_rank(const LowRank& added, const float* x, int64_t x_stride, int64_t tokens, float* y, int64_t y_stride) {
    // Float products sum the same whatever the number of tokens.
    const MatmulKernel product = kernels_.gemm_float[static_cast<int>(DType::kF32)].run;
    const int64_t rank = added.a.rows, tiles = pieces(tokens, kDownTokens);
    float* low = low_rank_.data();
    pool_.parallel_for(tiles * pieces(rank, kDownRows), 1, [&](int thread, int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) {
            const int64_t token = job % tiles * kDownTokens, row = job / tiles * kDownRows;
            const Activations input{std::min(kDownTokens, tokens - token), added.a.cols, x + token * x_stride, x_stride, nullptr, nullptr, nullptr};
            product(added.a, row, std::min(row + kDownRows, rank), input, low + token * rank, rank, gemm_scratch_[thread].data());
        }
    });
    for (const LowRankBlock& block : added.blocks) {
        pool_.parallel_for(pieces(block.rows, kUpRows), 1, [&](int, int64_t begin, int64_t end) {
            for (int64_t row = begin * kUpRows; row < std::min(end * kUpRows, block.rows); row += kUpRows)
                for (int64_t token = 0; token < tokens; ++token)
                    kernels_.add_rows.run(y + token * y_stride + block.row + row, low + token * rank + block.column, block.b + row, block.rows,
                                          block.cols, std::min(kUpRows, block.rows - row));
        });
    }
}

}  // namespace mambino
