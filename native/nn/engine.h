// The forward pass: tokens of one or more sequences in, logits out. Start at Engine::extend; drafts are in nn/draft.cc.
//
// All sequences of a call share each pass over the weights: their tokens are rows of one activation matrix; only the conv,
// the scan and attention look at sequences one by one. One call at a time: calls from several threads queue.
#pragma once

#include <algorithm>
#include <mutex>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "nn/state.h"
#include "nn/weights.h"

namespace mambino {

// A run of rows that belong to one sequence.
struct Segment {
    SequenceState* state;
    const int32_t* tokens;
    int64_t begin;  // first row
    int64_t count;
    bool is_draft = false;  // leaves the recurrent state as it is and keeps what absorbs the tokens later
};

// What the conv and the scan of one sequence read and write: rows of x | B | C, time steps, where y goes (which may be x), and
// the state, of which a draft only reads ssm.
struct Recurrence {
    float* xbc;
    int64_t stride;
    const float* delta;  // [T][H]
    float* y;
    int64_t y_stride;
    int64_t count;  // T
    float *conv, *ssm;
    bool is_draft = false;
};

// Some of a segment's queries, from row first of it on, for one kv head.
struct AttentionJob {
    const Segment* segment;
    int64_t first, head;
};

class Engine {
  public:
    // Rows of one pass over the weights. More rows reuse an unpacked weight panel more often; scratch grows with them
    // (about 70 KB a row for the 4B). Past 512 the gain was below the noise.
    static constexpr int64_t kMaxRows = kGemmMaxTokens;

    // float_activations: every product in float32 (slow, close to the definition) instead of 8-bit activations.
    Engine(Weights weights, Isa isa, int num_threads, bool float_activations, KvType kv);

    const Weights& weights() const { return weights_; }
    const KernelTable& kernels() const { return kernels_; }
    int num_threads() const { return pool_.num_threads(); }
    const StateShape& state_shape() const { return state_shape_; }
    // adapter is added to the weights for this state's tokens; null for none. It was made for this engine's weights.
    std::unique_ptr<SequenceState> new_state(int64_t max_tokens, std::shared_ptr<const Adapter> adapter = nullptr) const {
        return std::make_unique<SequenceState>(state_shape_, max_tokens, std::move(adapter));
    }

    // Logits after the last token of each sequence: out [B][vocab]. Ids are checked by the caller.
    // Throws ContextFullError before any state changes.
    void extend(std::span<SequenceState* const> states, std::span<const std::span<const int32_t>> tokens, float* out);
    // Logits after every token, from an empty state: out [T][vocab].
    void score(std::span<const int32_t> tokens, float* out);
    // Logits after each of up to kMaxRows tokens that follow the state: out [T][vocab]. The state does not move, but can then
    // accept the first of these tokens. Throws ContextFullError as extend does.
    void verify(SequenceState& state, std::span<const int32_t> tokens, float* out);
    // Absorbs the first count of the tokens last verified: bitwise what extending by them would leave.
    void accept(SequenceState& state, int64_t count);

  private:
    // A product's input, quantised once and used by every matrix that reads it.
    struct Input {
        AlignedBuffer<int8_t> q8;
        AlignedBuffer<float> scale;
        AlignedBuffer<int32_t> sum16;
        AlignedBuffer<uint8_t> packed;  // for the matrix of the moment
    };

    void reserve(int64_t rows, int64_t head_rows);
    // Leaves the residual rows that are wanted (in increasing order) as the first ones.
    void run_layers(std::span<const Segment> segments, int64_t rows, std::span<const int64_t> wanted);
    int64_t keep_rows(std::span<const int64_t> wanted);  // returns how many
    static std::vector<int64_t> all_rows(int64_t count);
    void head(const float* hidden, int64_t rows, float* out);
    // Quantise what quantising row first of the head's input left over, as row second.
    void add_second_term(int64_t first, int64_t second);

    void embed(std::span<const Segment> segments);
    void mix(const MambaLayer& m, size_t layer, std::span<const Segment> segments, int64_t rows);
    void mix(const AttentionLayer& m, size_t layer, std::span<const Segment> segments, int64_t rows);
    void mix(const MlpLayer& m, size_t layer, std::span<const Segment> segments, int64_t rows);
    void convolve(const MambaLayer& m, std::span<const Recurrence> sequences);  // in place
    void scan(const MambaLayer& m, std::span<const Recurrence> sequences);
    void keep_draft(const MambaLayer& m, size_t layer, const Segment& segment, const float* xbc, int64_t stride);
    template <class Element>
    void attend(const AttentionLayer& m, size_t layer, std::span<const Segment> segments, AttentionKernel<Element> kernel);
    template <class Element>
    void store_rows(const AttentionLayer& m, size_t layer, const Segment& segment, int64_t begin, int64_t end);
    void rotate(const AttentionLayer& m, std::span<const Segment> segments);

    // prepare(row) writes row of values; then it is quantised if any product needs that. One barrier for both.
    template <class Prepare>
    Activations input(const float* values, int64_t rows, int64_t cols, const Prepare& prepare);
    Activations normed_input(const float* weight, int64_t rows);
    void matmul(const Matrix& w, Activations x, float* y, int64_t y_stride);
    void add_to_residual(int64_t rows);

    // Adapters, in adapter.cc: room for those of states; which of them each row of a pass has; adding them to a product.
    void reserve_adapters(std::span<SequenceState* const> states, int64_t rows);
    void note_adapters(std::span<const Segment> segments, int64_t rows);
    void add_adapted(const Matrix& w, const Activations& x, float* y, int64_t y_stride);
    void add_low_rank(const LowRank& added, const float* x, int64_t x_stride, int64_t tokens, float* y, int64_t y_stride);

    Weights weights_;
    KernelTable kernels_;
    ThreadPool pool_;
    bool float_activations_;
    StateShape state_shape_;
    std::mutex mutex_;

    // Scratch for up to kMaxRows rows, reserved before any state changes.
    int64_t widest_input_ = 0, widest_inner_ = 0, widest_projection_ = 0;
    AlignedBuffer<float> residual_, normed_, projected_, inner_, delta_, mixed_, last_, head_terms_, draft_conv_;
    std::vector<AlignedBuffer<uint8_t>> gemm_scratch_;
    std::vector<AlignedBuffer<float>> attention_scratch_, draft_scan_;  // one a thread
    std::vector<Recurrence> recurrences_;       // of the layer at hand
    std::vector<AttentionJob> attention_jobs_;  // likewise
    Input input_;
    std::vector<const Adapter*> row_adapters_;        // of the layers' rows in the pass at hand; empty if none has one
    AlignedBuffer<float> low_rank_;                   // A x
};

template <class Prepare>
Activations Engine::input(const float* values, int64_t rows, int64_t cols, const Prepare& prepare) {
    const bool quantize = !float_activations_ && cols % 32 == 0;
    pool_.parallel_for(rows, std::max<int64_t>(1, rows / (4 * pool_.num_threads())), [&](int, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            prepare(row);
            if (quantize)
                kernels_.quantize_q8.run(values + row * cols, cols, input_.q8.data() + row * cols,
                                         input_.scale.data() + row * (cols / 32), input_.sum16.data() + row * (cols / 16));
        }
    });
    return {rows, cols, values, cols, input_.q8.data(), input_.scale.data(), input_.sum16.data()};
}

}  // namespace mambino
