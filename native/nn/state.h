// What a model remembers of one sequence: one slot per layer, and frozen copies of it that share memory.
//
// Mamba slots are float32 and constant in size; attention slots are keys and values in one KvType, reserved for max_tokens and
// touched only as they fill. Layouts are those of kernels/table.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "nn/weights.h"

namespace mambino {

// Sizes of one layer's slot; all 0 for an MLP. conv: [conv_width - 1][channels], ssm: [H][P][N], in floats.
struct SlotShape {
    int64_t conv_size = 0, ssm_size = 0;
    int64_t kv_heads = 0, head_dim = 0;
    KvType kv = KvType::kFloat16;

    int64_t recurrent_size() const { return conv_size + ssm_size; }
    int64_t kv_nbytes() const { return kv_heads * kv_head_nbytes(kv, head_dim); }  // of one token's keys, or values
    bool operator==(const SlotShape&) const = default;
};

// Sizes of every slot; states and snapshots of equal shape fit each other.
struct StateShape {
    std::vector<SlotShape> slots;

    StateShape(const Weights& weights, KvType kv);
    size_t recurrent_nbytes() const;
    size_t token_nbytes() const;  // keys and values of one token, all layers
    bool operator==(const StateShape&) const = default;
};

struct LayerState : SlotShape {
    AlignedBuffer<float> recurrent;       // conv, then ssm
    AlignedBuffer<uint8_t> keys, values;  // [blocks][kv_heads] heads of kKeyBlock keys, [max_tokens][kv_heads] heads of values

    float* conv() { return recurrent.data(); }
    float* ssm() { return recurrent.data() + conv_size; }
};

// Immutable bytes that snapshots share. id is unique for the life of the process.
struct Piece {
    uint64_t id;
    std::vector<uint8_t> bytes;

    explicit Piece(size_t nbytes);
};
using PiecePointer = std::shared_ptr<const Piece>;

constexpr int64_t kPieceTokens = 256;  // tokens of a shared piece of keys and values

// Immutable: keys and values of every kPieceTokens tokens, and the rest: the recurrent state with the keys and values of
// the last position % kPieceTokens tokens.
struct StateSnapshot {
    StateShape shape;
    int64_t position;
    std::vector<PiecePointer> blocks;
    PiecePointer rest;

    // From copies of all pieces' bytes, rest last. Throws Error if their number or sizes are not those of position tokens.
    static std::unique_ptr<StateSnapshot> of_bytes(StateShape shape, int64_t position, std::span<const std::span<const uint8_t>> pieces);
    std::vector<PiecePointer> pieces() const;
    size_t nbytes() const;
};

// What one Mamba layer needs to absorb drafted tokens later: inputs of the conv [T][channels] and time steps [T][H].
struct DraftInputs {
    AlignedBuffer<float> conv, delta;
};

class SequenceState {
  public:
    SequenceState(const StateShape& shape, int64_t max_tokens);
    SequenceState(const SequenceState&) = delete;
    SequenceState& operator=(const SequenceState&) = delete;

    int64_t position() const { return position_; }
    int64_t max_tokens() const { return max_tokens_; }
    size_t nbytes() const;
    LayerState& layer(size_t i) { return layers_[i]; }

    // Throws ContextFullError if count more tokens do not fit.
    void check_room(int64_t count) const;
    void advance(int64_t count);

    // Drafted tokens were evaluated but not absorbed; whatever moves the state forgets them. Not counted in nbytes.
    int64_t drafted() const { return drafted_; }
    void set_drafted(int64_t count) { drafted_ = count; }
    DraftInputs& draft(size_t i) { return drafts_[i]; }

    // Copies only what no living snapshot of the same tokens holds.
    std::unique_ptr<StateSnapshot> snapshot();
    // Copies only what differs. Throws Error, before changing anything, if the snapshot is of another model or does not fit.
    void restore(const StateSnapshot& snapshot);

  private:
    StateShape shape_;
    int64_t position_ = 0, max_tokens_;
    std::vector<LayerState> layers_;
    // Pieces that hold what this state holds, as long as a snapshot keeps them alive; rest_ only at this position.
    std::vector<std::weak_ptr<const Piece>> blocks_;
    std::weak_ptr<const Piece> rest_;
    int64_t drafted_ = 0;
    std::vector<DraftInputs> drafts_;
};

}  // namespace mambino
