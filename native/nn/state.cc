#include "nn/state.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace mambino {
namespace {

int64_t key_blocks(int64_t tokens) { return (tokens + kKeyBlock - 1) / kKeyBlock; }

// Moves a layer's slot, as far as it matters at a position, to or from packed bytes, or counts them.
// The last block of keys is packed lane by lane: what lies past the position is neither kept nor counted.
enum class Direction { kToBytes, kFromBytes, kCount };

class SlotPacker {
  public:
    SlotPacker(Direction direction, uint8_t* bytes) : direction_(direction), bytes_(bytes) {}

    size_t pack(const LayerState& slot, int64_t position, int64_t kv_nbytes) {
        auto* recurrent = reinterpret_cast<uint8_t*>(const_cast<float*>(slot.recurrent.data()));
        move(recurrent, static_cast<size_t>(slot.conv_size + slot.ssm_size) * sizeof(float));
        const int64_t full = position / kKeyBlock, lanes = position % kKeyBlock, block_nbytes = slot.key_block_stride() * kv_nbytes;
        auto* keys = const_cast<uint8_t*>(slot.keys.data());
        move(keys, static_cast<size_t>(full * block_nbytes));
        if (lanes)
            for (int64_t e = 0; e < slot.value_stride(); ++e)
                move(keys + full * block_nbytes + e * kKeyBlock * kv_nbytes, static_cast<size_t>(lanes * kv_nbytes));
        move(const_cast<uint8_t*>(slot.values.data()), static_cast<size_t>(position * slot.value_stride() * kv_nbytes));
        return at_;
    }

  private:
    void move(uint8_t* part, size_t nbytes) {
        if (nbytes && direction_ == Direction::kToBytes) std::memcpy(bytes_ + at_, part, nbytes);
        if (nbytes && direction_ == Direction::kFromBytes) std::memcpy(part, bytes_ + at_, nbytes);
        at_ += nbytes;
    }

    Direction direction_;
    uint8_t* bytes_;
    size_t at_ = 0;
};

size_t used_nbytes(const LayerState& slot, int64_t position, int64_t kv_nbytes) {
    return SlotPacker(Direction::kCount, nullptr).pack(slot, position, kv_nbytes);
}

struct Allocate {
    LayerState& slot;
    int64_t max_tokens, kv_nbytes;

    void operator()(const MambaLayer& m) const {
        slot.conv_size = (m.conv_width - 1) * m.channels();
        slot.ssm_size = m.inner_size() * m.state_size;
        std::fill_n(slot.recurrent.reserve(slot.conv_size + slot.ssm_size), slot.conv_size + slot.ssm_size, 0.0f);
    }
    void operator()(const AttentionLayer& m) const {
        slot.kv_heads = m.kv_heads, slot.head_dim = m.head_dim;
        slot.keys.reserve(key_blocks(max_tokens) * slot.key_block_stride() * kv_nbytes);
        slot.values.reserve(max_tokens * slot.value_stride() * kv_nbytes);
    }
    void operator()(const MlpLayer&) const {}
};

}  // namespace

size_t StateSnapshot::nbytes() const {
    size_t total = 0;
    for (const auto& layer : layers) total += layer.size();
    return total;
}

SequenceState::SequenceState(const Weights& weights, int64_t max_tokens, int64_t kv_nbytes)
    : max_tokens_(max_tokens), kv_nbytes_(kv_nbytes) {
    check(max_tokens >= 1 && max_tokens <= (int64_t{1} << 31), "[state] max_tokens: expected 1 to 2^31, got ", max_tokens);
    layers_.resize(weights.layers.size());
    for (size_t i = 0; i < layers_.size(); ++i) std::visit(Allocate{layers_[i], max_tokens, kv_nbytes}, weights.layers[i].mixer);
}

size_t SequenceState::nbytes() const {
    size_t total = 0;
    for (const LayerState& slot : layers_) {
        total += static_cast<size_t>(slot.conv_size + slot.ssm_size) * sizeof(float);
        total += static_cast<size_t>(2 * max_tokens_ * slot.value_stride() * kv_nbytes_);
    }
    return total;
}

void SequenceState::check_room(int64_t count) const {
    if (count > max_tokens_ - position_)
        throw ContextFullError(concat("[context] ", count, " more tokens do not fit: ", position_, " of ", max_tokens_,
                                      " are used; shorten the text or open a larger context"));
}

std::unique_ptr<StateSnapshot> SequenceState::snapshot() const {
    auto copy = std::make_unique<StateSnapshot>();
    copy->position = position_;
    for (const LayerState& slot : layers_) {
        auto& bytes = copy->layers.emplace_back(used_nbytes(slot, position_, kv_nbytes_));
        SlotPacker(Direction::kToBytes, bytes.data()).pack(slot, position_, kv_nbytes_);
    }
    return copy;
}

void SequenceState::restore(const StateSnapshot& snapshot) {
    check(snapshot.layers.size() == layers_.size(), "[state] the snapshot is of another model: it has ", snapshot.layers.size(),
          " layers, this state has ", layers_.size());
    check(snapshot.position <= max_tokens_, "[state] the snapshot holds ", snapshot.position, " tokens, this state has room for ",
          max_tokens_);
    for (size_t i = 0; i < layers_.size(); ++i)
        check(snapshot.layers[i].size() == used_nbytes(layers_[i], snapshot.position, kv_nbytes_),
              "[state] the snapshot is of another model: layer ", i, " differs in size");
    for (size_t i = 0; i < layers_.size(); ++i)
        SlotPacker(Direction::kFromBytes, const_cast<uint8_t*>(snapshot.layers[i].data())).pack(layers_[i], snapshot.position, kv_nbytes_);
    position_ = snapshot.position;
}

}  // namespace mambino
