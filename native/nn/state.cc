#include "nn/state.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"

namespace mambino {
namespace {

struct ShapeOf {
    KvType kv;
    SlotShape operator()(const MambaLayer& m) const {
        return {.conv_size = (m.conv_width - 1) * m.channels(), .ssm_size = m.inner_size() * m.state_size};
    }
    SlotShape operator()(const AttentionLayer& m) const { return {.kv_heads = m.kv_heads, .head_dim = m.head_dim, .kv = kv}; }
    SlotShape operator()(const MlpLayer&) const { return {}; }
};

uint64_t next_piece_id() {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

// Moves the parts of a state that its snapshots do not share to or from the bytes of a piece, in order.
enum class Direction { kToBytes, kFromBytes };

class Mover {
  public:
    Mover(Direction direction, uint8_t* bytes) : direction_(direction), bytes_(bytes) {}

    void move_recurrent(LayerState& slot) {
        move(reinterpret_cast<uint8_t*>(slot.recurrent.data()), static_cast<size_t>(slot.recurrent_size()) * sizeof(float));
    }

    // Keys and values of a page's first count tokens. A last block of keys that is not full is moved lane by lane: what lies
    // past count is neither kept nor counted.
    void move_tokens(const LayerState& slot, uint8_t* page, int64_t count) {
        const int64_t nbytes = slot.kv_nbytes(), full = count / kKeyBlock * kKeyBlock;
        move(page + slot.keys, static_cast<size_t>(full * nbytes));
        if (count > full) move_lanes(slot, page + slot.keys + full * nbytes, count - full);
        move(page + slot.values, static_cast<size_t>(count * nbytes));
    }

  private:
    // The first lanes of each run of kKeyBlock elements: codes or floats of a head, then its scales.
    void move_lanes(const LayerState& slot, uint8_t* block, int64_t lanes) {
        const int64_t element = slot.kv == KvType::kQ8 ? 1 : kv_head_nbytes(slot.kv, 1);
        const int64_t scales = slot.kv == KvType::kQ8 ? kv_groups(slot.head_dim) : 0;
        for (int64_t head = 0; head < slot.kv_heads; ++head) {
            for (int64_t i = 0; i < slot.head_dim; ++i, block += kKeyBlock * element) move(block, static_cast<size_t>(lanes * element));
            for (int64_t i = 0; i < scales; ++i, block += kKeyBlock * 2) move(block, static_cast<size_t>(lanes * 2));
        }
    }

    void move(uint8_t* part, size_t nbytes) {
        if (nbytes == 0) return;
        if (direction_ == Direction::kToBytes) std::memcpy(bytes_, part, nbytes);
        else std::memcpy(part, bytes_, nbytes);
        bytes_ += nbytes;
    }

    Direction direction_;
    uint8_t* bytes_;
};

// page: that of the next token; null if it would be a new one.
void move_rest(Mover mover, std::vector<LayerState>& slots, uint8_t* page, int64_t position) {
    for (LayerState& slot : slots) {
        mover.move_recurrent(slot);
        if (page) mover.move_tokens(slot, page, position % kPageTokens);
    }
}

size_t rest_nbytes(const StateShape& shape, int64_t position) {
    return shape.recurrent_nbytes() + static_cast<size_t>(position % kPageTokens) * shape.token_nbytes();
}

// Of a piece that is only read (the interface of Mover is for both directions), or that this state alone has.
uint8_t* bytes_of(const Piece& piece) { return const_cast<Piece&>(piece).bytes.data(); }

}  // namespace

StateShape::StateShape(const Weights& weights, KvType kv) {
    for (const Layer& layer : weights.layers) slots.push_back(std::visit(ShapeOf{kv}, layer.mixer));
}

size_t StateShape::recurrent_nbytes() const {
    size_t total = 0;
    for (const SlotShape& slot : slots) total += static_cast<size_t>(slot.recurrent_size()) * sizeof(float);
    return total;
}

size_t StateShape::token_nbytes() const {
    size_t total = 0;
    for (const SlotShape& slot : slots) total += static_cast<size_t>(2 * slot.kv_nbytes());
    return total;
}

Piece::Piece(size_t size) : id(next_piece_id()), nbytes(size), bytes(size) {}

std::unique_ptr<StateSnapshot> StateSnapshot::of_bytes(StateShape shape, int64_t position,
                                                       std::span<const std::span<const uint8_t>> pieces) {
    check(position >= 0 && position / kPageTokens == static_cast<int64_t>(pieces.size()) - 1, "[state] ", pieces.size(),
          " pieces cannot hold ", position, " tokens");
    auto snapshot = std::make_unique<StateSnapshot>(StateSnapshot{std::move(shape), position, {}, nullptr});
    for (size_t i = 0; i < pieces.size(); ++i) {
        const bool is_rest = i + 1 == pieces.size();
        const size_t expected = is_rest ? rest_nbytes(snapshot->shape, position) : kPageTokens * snapshot->shape.token_nbytes();
        check(pieces[i].size() == expected, "[state] piece ", i, ": expected ", expected, " bytes, got ", pieces[i].size());
        const auto piece = std::make_shared<Piece>(expected);
        std::copy(pieces[i].begin(), pieces[i].end(), piece->bytes.data());
        if (is_rest) snapshot->rest = piece;
        else snapshot->pages.push_back(piece);
    }
    return snapshot;
}

std::vector<PiecePointer> StateSnapshot::pieces() const {
    std::vector<PiecePointer> all = pages;
    all.push_back(rest);
    return all;
}

size_t StateSnapshot::nbytes() const {
    size_t total = rest->nbytes;
    for (const PiecePointer& page : pages) total += page->nbytes;
    return total;
}

SequenceState::SequenceState(const StateShape& shape, int64_t max_tokens, std::shared_ptr<const Adapter> adapter)
    : shape_(shape), adapter_(std::move(adapter)), max_tokens_(max_tokens), drafts_(shape.slots.size()) {
    check(max_tokens >= 1 && max_tokens <= (int64_t{1} << 31), "[state] max_tokens: expected 1 to 2^31, got ", max_tokens);
    int64_t offset = 0;
    for (const SlotShape& sizes : shape.slots) {
        const int64_t nbytes = kPageTokens * sizes.kv_nbytes();
        LayerState& slot = layers_.emplace_back(LayerState{sizes, {}, offset, offset + nbytes});
        std::fill_n(slot.recurrent.reserve(slot.recurrent_size()), slot.recurrent_size(), 0.0f);
        offset += 2 * nbytes;
    }
}

size_t SequenceState::nbytes() const {
    return shape_.recurrent_nbytes() + static_cast<size_t>(max_tokens_) * shape_.token_nbytes();
}

void SequenceState::check_room(int64_t count) const {
    if (count > max_tokens_ - position_)
        throw ContextFullError(concat("[context] ", count, " more tokens do not fit: ", position_, " of ", max_tokens_,
                                      " are used; shorten the text or open a larger context"));
}

void SequenceState::make_room(int64_t count) {
    const int64_t needed = (position_ + count + kPageTokens - 1) / kPageTokens;
    while (static_cast<int64_t>(pages_.size()) < needed) {
        pages_.push_back(std::make_shared<Piece>(page_nbytes()));
        page_bytes_.push_back(bytes_of(*pages_.back()));
    }
}

void SequenceState::advance(int64_t count) {
    position_ += count;
    drafted_ = 0;
    rest_.reset();
}

std::unique_ptr<StateSnapshot> SequenceState::snapshot() {
    const int64_t full = position_ / kPageTokens;
    auto copy = std::make_unique<StateSnapshot>(StateSnapshot{shape_, position_, {pages_.begin(), pages_.begin() + full}, rest_.lock()});
    if (!copy->rest) {
        const auto piece = std::make_shared<Piece>(rest_nbytes(shape_, position_));
        move_rest({Direction::kToBytes, piece->bytes.data()}, layers_, position_ % kPageTokens ? page_bytes_[full] : nullptr, position_);
        rest_ = copy->rest = piece;
    }
    return copy;
}

void SequenceState::restore(const StateSnapshot& snapshot) {
    check(snapshot.shape == shape_, "[state] the snapshot is of another model, or of another type of keys and values");
    check(snapshot.position <= max_tokens_, "[state] the snapshot holds ", snapshot.position, " tokens, this state has room for ",
          max_tokens_);
    const int64_t tail = snapshot.position % kPageTokens;
    // Before anything changes, since memory may be short.
    const auto own = tail ? std::make_shared<Piece>(page_nbytes()) : nullptr;
    std::vector<PiecePointer> pages = snapshot.pages;
    if (own) pages.push_back(own);
    std::vector<uint8_t*> page_bytes;
    for (const PiecePointer& page : pages) page_bytes.push_back(bytes_of(*page));
    pages_.swap(pages), page_bytes_.swap(page_bytes);
    move_rest({Direction::kFromBytes, bytes_of(*snapshot.rest)}, layers_, own ? own->bytes.data() : nullptr, snapshot.position);
    position_ = snapshot.position;
    drafted_ = 0;
    rest_ = snapshot.rest;
}

}  // namespace mambino
