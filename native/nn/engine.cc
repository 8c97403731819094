#include "nn/engine.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace mambino {
namespace {

constexpr int64_t kHeadRows = 32;       // rows of one pass over the head: bounds its scratch to 64 rows of logits
constexpr int64_t kConvChannels = 256;  // a piece of the conv: its taps, state and rows stay in L1

struct Widths {
    int64_t input, inner, projection;
};

Widths widths_of(const Layer& layer) {
    if (const auto* m = std::get_if<MambaLayer>(&layer.mixer)) return {m->inner_size(), m->inner_size(), m->in_proj_rows()};
    if (const auto* m = std::get_if<AttentionLayer>(&layer.mixer))
        return {m->query_size(), m->query_size(), m->query_size() + 2 * m->kv_size()};
    const auto& m = std::get<MlpLayer>(layer.mixer);
    return {m.up.rows, m.gated ? m.up.rows : 0, m.up.rows};
}

}  // namespace

Engine::Engine(Weights weights, Isa isa, int num_threads, bool float_activations, KvType kv)
    : weights_(std::move(weights)), kernels_(kernel_table(isa)), pool_(num_threads), float_activations_(float_activations),
      state_shape_(weights_, kv) {
    weights_.check_shapes();
    widest_input_ = weights_.hidden;
    for (const Layer& layer : weights_.layers) {
        const Widths widths = widths_of(layer);
        widest_input_ = std::max(widest_input_, widths.input);
        widest_inner_ = std::max(widest_inner_, widths.inner);
        widest_projection_ = std::max(widest_projection_, widths.projection);
    }
    gemm_scratch_.resize(pool_.num_threads());
    attention_scratch_.resize(pool_.num_threads());
    draft_scan_.resize(pool_.num_threads());
    int64_t widest_head = 1;
    for (const Layer& layer : weights_.layers)
        if (const auto* m = std::get_if<AttentionLayer>(&layer.mixer)) widest_head = std::max(widest_head, m->head_dim);
    for (auto& scratch : attention_scratch_) scratch.reserve(attention_scratch_floats(widest_head));
}

void Engine::reserve(int64_t rows, int64_t head_rows) {
    const int64_t head_terms = 2 * std::min(head_rows, kHeadRows);
    head_terms_.reserve(head_terms * weights_.vocab);
    rows = std::max(rows, head_terms);
    residual_.reserve(rows * weights_.hidden);
    normed_.reserve(rows * weights_.hidden);
    mixed_.reserve(rows * weights_.hidden);
    projected_.reserve(rows * widest_projection_);
    inner_.reserve(rows * widest_inner_);
    input_.q8.reserve(rows * widest_input_);
    input_.scale.reserve(rows * (widest_input_ / 32 + 1));
    input_.sum16.reserve(rows * (widest_input_ / 16 + 1));
    input_.packed.reserve(packed_nbytes(rows, widest_input_ + 32));
    int64_t widest_delta = 1;
    for (const Layer& layer : weights_.layers) {
        if (const auto* m = std::get_if<MambaLayer>(&layer.mixer)) widest_delta = std::max(widest_delta, m->heads);
        if (const auto* m = std::get_if<AttentionLayer>(&layer.mixer)) widest_delta = std::max(widest_delta, m->head_dim);
    }
    delta_.reserve(rows * widest_delta);
    for (auto& scratch : gemm_scratch_) scratch.reserve(gemm_scratch_nbytes(widest_input_));
}

void Engine::extend(std::span<SequenceState* const> states, std::span<const std::span<const int32_t>> tokens, float* out) {
    std::lock_guard lock(mutex_);
    int64_t total = 0;
    for (size_t i = 0; i < states.size(); ++i) {
        const int64_t count = static_cast<int64_t>(tokens[i].size());
        check(count > 0, "[engine] sequence ", i, " has no tokens");
        states[i]->check_room(count);
        total += count;
    }
    reserve(std::min(total, kMaxRows), static_cast<int64_t>(states.size()));
    reserve_adapters(states, std::min(total, kMaxRows));
    last_.reserve(states.size() * weights_.hidden);
    for (size_t i = 0; i < states.size(); ++i) states[i]->make_room(static_cast<int64_t>(tokens[i].size()));

    // Fill passes of up to kMaxRows rows, sequence after sequence; a sequence may span several passes.
    std::vector<Segment> segments;
    std::vector<int64_t> last_rows;  // in this pass, of the sequences that end in it
    int64_t rows = 0;
    float* last = last_.data();
    const auto run = [&] {
        run_layers(segments, rows, last_rows);
        last = std::copy_n(residual_.data(), last_rows.size() * weights_.hidden, last);
        segments.clear(), last_rows.clear(), rows = 0;
    };
    for (size_t i = 0; i < states.size(); ++i) {
        const int64_t count = static_cast<int64_t>(tokens[i].size());
        for (int64_t done = 0; done < count;) {
            const int64_t take = std::min(count - done, kMaxRows - rows);
            segments.push_back({states[i], tokens[i].data() + done, rows, take});
            rows += take, done += take;
            if (done == count) last_rows.push_back(rows - 1);
            if (rows == kMaxRows) run();
        }
    }
    if (rows) run();
    head(last_.data(), static_cast<int64_t>(states.size()), out);
}

void Engine::score(std::span<const int32_t> tokens, float* out) {
    std::lock_guard lock(mutex_);
    const int64_t total = static_cast<int64_t>(tokens.size());
    check(total > 0, "[engine] no tokens to score");
    reserve(std::min(total, kMaxRows), total);
    const auto state = new_state(total);
    state->make_room(total);
    for (int64_t done = 0; done < total; done += kMaxRows) {
        const Segment segment{state.get(), tokens.data() + done, 0, std::min(total - done, kMaxRows)};
        run_layers({&segment, 1}, segment.count, all_rows(segment.count));
        head(residual_.data(), segment.count, out + done * weights_.vocab);
    }
}

void Engine::run_layers(std::span<const Segment> segments, int64_t rows, std::span<const int64_t> wanted) {
    embed(segments);
    note_adapters(segments, rows);
    for (size_t i = 0; i < weights_.layers.size(); ++i) {
        // What a last MLP makes of rows that nobody reads would be lost: it remembers nothing.
        if (i + 1 == weights_.layers.size() && std::holds_alternative<MlpLayer>(weights_.layers[i].mixer)) rows = keep_rows(wanted), wanted = {};
        if (rows == 0) break;
        std::visit([&](const auto& mixer) { mix(mixer, i, segments, rows); }, weights_.layers[i].mixer);
        add_to_residual(rows);
    }
    if (!wanted.empty()) keep_rows(wanted);
    row_adapters_.clear();  // the head's rows are others
    for (const Segment& segment : segments) {
        if (segment.is_draft) segment.state->set_drafted(segment.count);
        else segment.state->advance(segment.count);
    }
}

int64_t Engine::keep_rows(std::span<const int64_t> wanted) {
    float* to = residual_.data();
    if (!row_adapters_.empty())
        for (size_t i = 0; i < wanted.size(); ++i) row_adapters_[i] = row_adapters_[static_cast<size_t>(wanted[i])];
    for (const int64_t row : wanted) {
        const float* from = residual_.data() + row * weights_.hidden;
        if (from != to) std::copy_n(from, weights_.hidden, to);
        to += weights_.hidden;
    }
    return static_cast<int64_t>(wanted.size());
}

std::vector<int64_t> Engine::all_rows(int64_t count) {
    std::vector<int64_t> rows(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
}

void Engine::embed(std::span<const Segment> segments) {
    const Matrix& table = weights_.embeddings;
    const auto decode_row = kernels_.decode_row[static_cast<int>(table.type)].run;
    for (const Segment& segment : segments)
        for (int64_t t = 0; t < segment.count; ++t)
            decode_row(table.row(segment.tokens[t]), table.cols, residual_.data() + (segment.begin + t) * weights_.hidden);
}

void Engine::add_to_residual(int64_t rows) {
    kernels_.add.run(residual_.data(), mixed_.data(), rows * weights_.hidden);
}

Activations Engine::normed_input(const float* weight, int64_t rows) {
    const int64_t hidden = weights_.hidden;
    return input(normed_.data(), rows, hidden, [&](int64_t row) {
        kernels_.rms_norm.run(residual_.data() + row * hidden, weight, hidden, weights_.norm_eps, normed_.data() + row * hidden);
    });
}

void Engine::matmul(const Matrix& w, Activations x, float* y, int64_t y_stride) {
    const int type = static_cast<int>(w.type);
    const bool few = x.tokens <= kGemvMaxTokens;
    const auto& table = float_activations_ ? (few ? kernels_.gemv_float : kernels_.gemm_float) : (few ? kernels_.gemv : kernels_.gemm);
    const MatmulKernel kernel = table[type].run;
    if (const auto pack = kernels_.pack[type].run; pack && !float_activations_) {
        pool_.parallel_for(token_tiles(x.tokens), 1, [&](int, int64_t begin, int64_t end) { pack(x, begin, end, input_.packed.data()); });
        x.packed = input_.packed.data();
    }
    // Six pieces a thread: small enough to even out two busy cores.
    const int64_t share = (w.rows + 6 * pool_.num_threads() - 1) / (6 * pool_.num_threads());
    const int64_t unit = few ? 16 : 2 * kGemmPanelRows;
    const int64_t grain = (share + unit - 1) / unit * unit;
    pool_.parallel_for(w.rows, grain, [&](int thread, int64_t begin, int64_t end) {
        kernel(w, begin, end, x, y, y_stride, gemm_scratch_[thread].data());
    });
    if (!row_adapters_.empty()) add_adapted(w, x, y, y_stride);
}

void Engine::head(const float* hidden, int64_t rows, float* out) {
    // Rounding the head's input moves every logit directly, so on the 8-bit path it is given in two terms, x ~ s1 q1 + s2 q2:
    // twice the rows, one pass over the weights (SmolLM2: a quarter of the divergence from float32 gone).
    const bool two_terms = !float_activations_ && !dtype_info(weights_.head.type).is_float;
    const int64_t width = weights_.hidden, vocab = weights_.vocab;
    for (int64_t begin = 0; begin < rows; begin += kHeadRows) {
        const int64_t count = std::min(rows - begin, kHeadRows);
        float* logits = out + begin * vocab;
        const auto norm = [&](int64_t row) {
            kernels_.rms_norm.run(hidden + (begin + row) * width, weights_.final_norm, width, weights_.norm_eps,
                                  normed_.data() + row * width);
        };
        Activations x = input(normed_.data(), count, width, norm);
        if (!two_terms) {
            matmul(weights_.head, x, logits, vocab);
            continue;
        }
        for (int64_t row = 0; row < count; ++row) add_second_term(row, count + row);
        x.tokens = 2 * count;
        matmul(weights_.head, x, head_terms_.data(), vocab);
        for (int64_t row = 0; row < count; ++row) {
            std::copy_n(head_terms_.data() + row * vocab, vocab, logits + row * vocab);
            kernels_.add.run(logits + row * vocab, head_terms_.data() + (count + row) * vocab, vocab);
        }
    }
}

void Engine::add_second_term(int64_t first, int64_t second) {
    const int64_t width = weights_.hidden;
    const float *x = normed_.data() + first * width, *scale = input_.scale.data() + first * (width / 32);
    const int8_t* q8 = input_.q8.data() + first * width;
    float* rest = normed_.data() + second * width;
    for (int64_t k = 0; k < width; ++k) rest[k] = x[k] - scale[k / 32] * static_cast<float>(q8[k]);
    kernels_.quantize_q8.run(rest, width, input_.q8.data() + second * width, input_.scale.data() + second * (width / 32),
                             input_.sum16.data() + second * (width / 16));
}

void Engine::mix(const MambaLayer& m, size_t layer, std::span<const Segment> segments, int64_t rows) {
    const int64_t stride = m.in_proj_rows(), inner = m.inner_size();
    float *z = projected_.data(), *xbc = z + inner, *dt = xbc + m.channels();
    matmul(m.in_proj, normed_input(weights_.layers[layer].norm, rows), projected_.data(), stride);

    for (int64_t row = 0; row < rows; ++row)
        kernels_.softplus_dt.run(dt + row * stride, m.dt_bias, m.heads, m.dt_low, m.dt_high, delta_.data() + row * m.heads);
    recurrences_.clear();
    for (const Segment& s : segments) {
        LayerState& slot = s.state->layer(layer);
        Recurrence& r = recurrences_.emplace_back(Recurrence{xbc + s.begin * stride, stride, delta_.data() + s.begin * m.heads,
                                                             inner_.data() + s.begin * inner, inner, s.count, slot.conv(), slot.ssm()});
        if (!s.is_draft) continue;
        keep_draft(m, layer, s, r.xbc, stride);
        r.conv = draft_conv_.reserve(slot.conv_size);
        std::copy_n(slot.conv(), slot.conv_size, r.conv);
        r.is_draft = true;
    }
    convolve(m, recurrences_);
    scan(m, recurrences_);
    const Activations gated = input(inner_.data(), rows, inner, [&](int64_t row) {
        float* y = inner_.data() + row * inner;
        kernels_.gated_group_norm.run(y, z + row * stride, m.gate_norm, inner, inner / m.groups, weights_.norm_eps, y);
    });
    matmul(m.out_proj, gated, mixed_.data(), weights_.hidden);
}

void Engine::convolve(const MambaLayer& m, std::span<const Recurrence> sequences) {
    const int64_t parts = (m.channels() + kConvChannels - 1) / kConvChannels;
    pool_.parallel_for(static_cast<int64_t>(sequences.size()) * parts, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) {
            const Recurrence& r = sequences[static_cast<size_t>(job / parts)];
            const int64_t first = job % parts * kConvChannels, last = std::min(first + kConvChannels, m.channels());
            kernels_.conv_silu.run(r.xbc, r.stride, r.count, m.conv_weight, m.conv_bias, m.conv_width, m.channels(), first, last, r.conv,
                                   r.xbc, r.stride);
        }
    });
}

void Engine::scan(const MambaLayer& m, std::span<const Recurrence> sequences) {
    const int64_t head_size = m.head_dim * m.state_size;
    pool_.parallel_for(static_cast<int64_t>(sequences.size()) * m.heads, 1, [&](int thread, int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) {
            const Recurrence& r = sequences[static_cast<size_t>(job / m.heads)];
            const int64_t h = job % m.heads;
            const float* b = r.xbc + m.inner_size() + h / (m.heads / m.groups) * m.state_size;
            float* state = r.ssm + h * head_size;
            if (r.is_draft) {
                std::copy_n(state, head_size, draft_scan_[thread].data());
                state = draft_scan_[thread].data();
            }
            kernels_.ssm_scan.run(r.xbc + h * m.head_dim, r.stride, r.delta + h, m.heads, m.a[h], m.d[h], b, b + m.groups * m.state_size,
                                  r.stride, r.count, m.head_dim, m.state_size, state, r.y + h * m.head_dim, r.y_stride);
        }
    });
}

void Engine::mix(const MlpLayer& m, size_t layer, std::span<const Segment>, int64_t rows) {
    const int64_t width = m.up.rows;
    const Activations x = normed_input(weights_.layers[layer].norm, rows);
    matmul(m.up, x, projected_.data(), width);
    float* values = projected_.data();
    if (m.gated) {
        matmul(m.gate, x, inner_.data(), width);
        values = inner_.data();
    }
    const Activations hidden = input(values, rows, width, [&](int64_t row) {
        if (m.gated) kernels_.swiglu.run(values + row * width, projected_.data() + row * width, width);
        else kernels_.relu2.run(values + row * width, width);
    });
    matmul(m.down, hidden, mixed_.data(), weights_.hidden);
}

}  // namespace mambino
