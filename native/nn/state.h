// What a model remembers of one sequence: one slot per layer, and frozen copies of it.
//
// Mamba slots are float32 and constant in size; attention slots are keys and values in float16 (or float32, for the float
// path), reserved for max_tokens and touched only as they fill. Layouts are those of kernels/table.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned.h"
#include "nn/weights.h"

namespace mambino {

struct LayerState {
    // Mamba: conv [conv_width - 1][channels], then ssm [H][P][N].
    AlignedBuffer<float> recurrent;
    int64_t conv_size = 0, ssm_size = 0;
    // Attention: keys [blocks][kv_heads][head_dim][kKeyBlock], values [max_tokens][kv_heads * head_dim].
    AlignedBuffer<uint8_t> keys, values;
    int64_t kv_heads = 0, head_dim = 0;

    float* conv() { return recurrent.data(); }
    float* ssm() { return recurrent.data() + conv_size; }
    int64_t key_block_stride() const { return kv_heads * head_dim * kKeyBlock; }
    int64_t value_stride() const { return kv_heads * head_dim; }
    template <class Element>
    Element* keys_as() { return reinterpret_cast<Element*>(keys.data()); }
    template <class Element>
    Element* values_as() { return reinterpret_cast<Element*>(values.data()); }
};

// Immutable. Holds the recurrent state and the keys and values of position tokens.
struct StateSnapshot {
    int64_t position;
    std::vector<std::vector<uint8_t>> layers;
    size_t nbytes() const;
};

class SequenceState {
  public:
    // kv_nbytes: of one stored key or value element, 2 or 4.
    SequenceState(const Weights& weights, int64_t max_tokens, int64_t kv_nbytes);
    SequenceState(const SequenceState&) = delete;
    SequenceState& operator=(const SequenceState&) = delete;

    int64_t position() const { return position_; }
    int64_t max_tokens() const { return max_tokens_; }
    size_t nbytes() const;
    LayerState& layer(size_t i) { return layers_[i]; }

    // Throws ContextFullError if count more tokens do not fit.
    void check_room(int64_t count) const;
    void advance(int64_t count) { position_ += count; }

    std::unique_ptr<StateSnapshot> snapshot() const;
    // Throws Error, before changing anything, if the snapshot is of another model or does not fit.
    void restore(const StateSnapshot& snapshot);

  private:
    int64_t position_ = 0, max_tokens_, kv_nbytes_;
    std::vector<LayerState> layers_;
};

}  // namespace mambino
