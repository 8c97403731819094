// Drafted tokens: evaluated without moving the state, then absorbed as far as they are wanted.
//
// The recurrent state is never copied as a whole: a pass reads it head by head and keeps what goes into the conv and the scan;
// accepting runs those two again over the accepted tokens. Keys and values lie in the cache already, past the position.
#include <algorithm>

#include "base/check.h"
#include "nn/engine.h"

namespace mambino {

void Engine::verify(SequenceState& state, std::span<const int32_t> tokens, float* out) {
    std::lock_guard lock(mutex_);
    const auto count = static_cast<int64_t>(tokens.size());
    check(count >= 1 && count <= kMaxRows, "[engine] expected 1 to ", kMaxRows, " tokens to verify at once, got ", count);
    state.check_room(count);
    reserve(count, count);
    SequenceState* const states[] = {&state};
    reserve_adapters(states, count);
    state.make_room(count);
    int64_t head_size = 0;
    for (const Layer& layer : weights_.layers)
        if (const auto* m = std::get_if<MambaLayer>(&layer.mixer)) head_size = std::max(head_size, m->head_dim * m->state_size);
    for (auto& scratch : draft_scan_) scratch.reserve(head_size);
    state.set_drafted(0);
    const Segment segment{&state, tokens.data(), 0, count, true};
    run_layers({&segment, 1}, count, all_rows(count));
    head(residual_.data(), count, out);
}

void Engine::keep_draft(const MambaLayer& m, size_t layer, const Segment& segment, const float* xbc, int64_t stride) {
    DraftInputs& kept = segment.state->draft(layer);
    float* conv = kept.conv.reserve(segment.count * m.channels());
    for (int64_t t = 0; t < segment.count; ++t) std::copy_n(xbc + t * stride, m.channels(), conv + t * m.channels());
    std::copy_n(delta_.data() + segment.begin * m.heads, segment.count * m.heads, kept.delta.reserve(segment.count * m.heads));
}

void Engine::accept(SequenceState& state, int64_t count) {
    std::lock_guard lock(mutex_);
    check(count >= 0 && count <= state.drafted(), "[engine] cannot accept ", count, " tokens: ", state.drafted(), " were verified");
    for (size_t i = 0; count > 0 && i < weights_.layers.size(); ++i) {
        const auto* m = std::get_if<MambaLayer>(&weights_.layers[i].mixer);
        if (!m) continue;
        DraftInputs& kept = state.draft(i);
        float* rows = kept.conv.data();
        const Recurrence accepted{rows, m->channels(), kept.delta.data(), rows, m->channels(), count, state.layer(i).conv(), state.layer(i).ssm()};
        convolve(*m, {&accepted, 1});
        scan(*m, {&accepted, 1});
    }
    state.advance(count);
}

}  // namespace mambino
