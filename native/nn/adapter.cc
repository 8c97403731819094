// Adapters: the factors as values, and how a pass adds them. Start at Engine::add_adapted.
#include "nn/adapter.h"

#include <algorithm>

#include "base/check.h"
#include "nn/engine.h"

namespace mambino {
namespace {

constexpr int64_t kDownRows = 16;  // rows of A in one job
constexpr int64_t kUpRows = 256;   // rows of B in one job: their sums for kGemvMaxTokens tokens stay in L1
constexpr int64_t kUpFloats = kUpRows * kGemvMaxTokens;

int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

Matrix rows_of(const Matrix& w, int64_t begin, int64_t count) { return {w.type, count, w.cols, w.row(begin)}; }

// Tokens [begin, ...) of values, at most what gemv takes, as a product's float input.
Activations few_tokens(const float* values, int64_t stride, int64_t begin, int64_t tokens, int64_t cols) {
    return {std::min(kGemvMaxTokens, tokens - begin), cols, values + begin * stride, stride, nullptr, nullptr, nullptr};
}

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
    added.a = copied(a, rank, w.cols);
    for (const BlockValues& block : blocks) added.blocks.push_back({block.row, block.column, copied(block.values, block.rows, block.cols)});
    widest_rank_ = std::max(widest_rank_, rank);
}

const LowRank* Adapter::find(const Matrix& w) const {
    const auto found = added_.find(&w);
    return found == added_.end() ? nullptr : &found->second;
}

Matrix Adapter::copied(std::span<const float> values, int64_t rows, int64_t cols) {
    float* copy = memory_.emplace_back(values.size()).data();
    std::copy(values.begin(), values.end(), copy);
    nbytes_ += values.size_bytes();
    return {DType::kF32, rows, cols, reinterpret_cast<const uint8_t*>(copy)};
}

void Engine::reserve_adapters(std::span<SequenceState* const> states, int64_t rows) {
    int64_t rank = 0;
    for (const SequenceState* state : states)
        if (state->adapter()) rank = std::max(rank, state->adapter()->widest_rank());
    if (rank == 0) return;
    row_adapters_.reserve(static_cast<size_t>(rows));
    low_rank_.reserve(rows * rank);
    adapter_sums_.resize(pool_.num_threads());
    for (auto& sums : adapter_sums_) sums.reserve(kUpFloats);
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
    // Always gemv, which sums the same whatever the number of tokens.
    const MatmulKernel product = kernels_.gemv_float[static_cast<int>(DType::kF32)].run;
    const int64_t rank = added.a.rows, tiles = pieces(tokens, kGemvMaxTokens);
    float* low = low_rank_.data();
    pool_.parallel_for(tiles * pieces(rank, kDownRows), 1, [&](int thread, int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) {
            const int64_t token = job % tiles * kGemvMaxTokens, row = job / tiles * kDownRows;
            product(added.a, row, std::min(row + kDownRows, rank), few_tokens(x, x_stride, token, tokens, added.a.cols), low + token * rank, rank,
                    gemm_scratch_[thread].data());
        }
    });
    for (const LowRankBlock& block : added.blocks) {
        pool_.parallel_for(pieces(block.b.rows, kUpRows), 1, [&](int thread, int64_t begin, int64_t end) {
            float* sums = adapter_sums_[thread].data();
            for (int64_t row = begin * kUpRows; row < std::min(end * kUpRows, block.b.rows); row += kUpRows) {
                const int64_t count = std::min(kUpRows, block.b.rows - row);
                for (int64_t token = 0; token < tokens; token += kGemvMaxTokens) {
                    const Activations input = few_tokens(low + block.column, rank, token, tokens, block.b.cols);
                    product(rows_of(block.b, row, count), 0, count, input, sums, kUpRows, gemm_scratch_[thread].data());
                    for (int64_t t = 0; t < input.tokens; ++t)
                        kernels_.add.run(y + (token + t) * y_stride + block.row + row, sums + t * kUpRows, count);
                }
            }
        });
    }
}

}  // namespace mambino
