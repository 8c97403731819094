// What a model remembers of one sequence: one slot per layer, and frozen copies of it that share memory.
//
// Mamba slots are float32 and constant in size. Keys and values, in one KvType, live in pages of kPageTokens tokens of all
// layers, taken as the text grows: a full page is never written again, so states and snapshots share it. Layouts are those of
// kernels/table.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "nn/adapter.h"
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

// keys, values: bytes from a page's start to this layer's, [blocks][kv_heads] heads of kKeyBlock keys and [tokens][kv_heads]
// heads of values.
struct LayerState : SlotShape {
    AlignedBuffer<float> recurrent;  // conv, then ssm
    int64_t keys = 0, values = 0;

    float* conv() { return recurrent.data(); }
    float* ssm() { return recurrent.data() + conv_size; }
};

// Bytes that snapshots share, uninitialised at first. id is unique for the life of the process.
struct Piece {
    uint64_t id;
    size_t nbytes;
    AlignedBuffer<uint8_t> bytes;

    explicit Piece(size_t nbytes);
};
using PiecePointer = std::shared_ptr<const Piece>;

// Immutable: full pages of keys and values, and the rest: the recurrent state with the keys and values of the last
// position % kPageTokens tokens.
struct StateSnapshot {
    StateShape shape;
    int64_t position;
    std::vector<PiecePointer> pages;
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
    SequenceState(const StateShape& shape, int64_t max_tokens, std::shared_ptr<const Adapter> adapter = nullptr);
    SequenceState(const SequenceState&) = delete;
    SequenceState& operator=(const SequenceState&) = delete;

    int64_t position() const { return position_; }
    int64_t max_tokens() const { return max_tokens_; }
    size_t nbytes() const;  // of a full one
    const Adapter* adapter() const { return adapter_.get(); }  // null for the weights alone
    LayerState& layer(size_t i) { return layers_[i]; }
    // Pages of keys and values; the one of the next token is this state's alone.
    uint8_t* const* pages() const { return page_bytes_.data(); }

    // Throws ContextFullError if count more tokens do not fit.
    void check_room(int64_t count) const;
    // Take the pages that count more tokens need, which must fit.
    void make_room(int64_t count);
    void advance(int64_t count);

    // Drafted tokens were evaluated but not absorbed; whatever moves the state forgets them. Not counted in nbytes.
    int64_t drafted() const { return drafted_; }
    void set_drafted(int64_t count) { drafted_ = count; }
    DraftInputs& draft(size_t i) { return drafts_[i]; }

    // Shares the full pages; copies the rest, unless a living snapshot of this place has it.
    std::unique_ptr<StateSnapshot> snapshot();
    // The same the other way. Throws Error, before changing anything, if the snapshot is of another model or does not fit.
    void restore(const StateSnapshot& snapshot);

  private:
    size_t page_nbytes() const { return kPageTokens * shape_.token_nbytes(); }

    StateShape shape_;
    std::shared_ptr<const Adapter> adapter_;
    int64_t position_ = 0, max_tokens_;
    std::vector<LayerState> layers_;
    std::vector<PiecePointer> pages_;   // those before the place of the next token are full and may be shared
    std::vector<uint8_t*> page_bytes_;  // of pages_
    std::weak_ptr<const Piece> rest_;   // what a snapshot of this place would copy, as long as one lives
    int64_t drafted_ = 0;
    std::vector<DraftInputs> drafts_;
};

}  // namespace mambino
