// Attention layers: projections, RoPE, the key/value cache and the split of queries over threads. Start at mix.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fp16.h"
#include "nn/engine.h"

namespace mambino {
namespace {

// One head's values as int8 codes and float16 scales, each at its own stride in bytes.
void store_q8(const float* x, int64_t head_dim, int8_t* codes, int64_t code_stride, int8_t* scales, int64_t scale_stride) {
    for (int64_t begin = 0; begin < head_dim; begin += kKvGroup, scales += scale_stride) {
        const int64_t end = std::min(begin + kKvGroup, head_dim);
        float top = 0.0f;
        for (int64_t e = begin; e < end; ++e) top = std::max(top, std::abs(x[e]));
        const uint16_t half = float_to_fp16(top / 127.0f);
        std::memcpy(scales, &half, sizeof half);
        const float scale = fp16_to_float(half), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        for (int64_t e = begin; e < end; ++e)  // min first: it turns a NaN into a number
            codes[e * code_stride] = static_cast<int8_t>(std::lrintf(std::max(-127.0f, std::min(127.0f, x[e] * inverse))));
    }
}

// Where one token's keys and values go: a lane of a block of keys, and a row of values; all heads.
template <class Element>
struct TokenPlace {
    Element* key_block;
    int64_t lane;
    Element* value;
};

void convert(const KernelTable& kernels, const float* x, int64_t count, uint16_t* out) { kernels.to_float16.run(x, count, out); }
void convert(const KernelTable&, const float* x, int64_t count, float* out) { std::copy_n(x, count, out); }

template <class Element>
void store(const KernelTable& kernels, const SlotShape& slot, const float* key, const float* value, TokenPlace<Element> to) {
    const int64_t size = slot.kv_heads * slot.head_dim;
    convert(kernels, key, size, to.value);  // the value's place serves as scratch for the key
    for (int64_t e = 0; e < size; ++e) to.key_block[e * kKeyBlock + to.lane] = to.value[e];
    convert(kernels, value, size, to.value);
}

void store(const KernelTable&, const SlotShape& slot, const float* key, const float* value, TokenPlace<int8_t> to) {
    const int64_t size = slot.head_dim, nbytes = kv_head_nbytes(KvType::kQ8, size);
    for (int64_t head = 0; head < slot.kv_heads; ++head) {
        int8_t *keys = to.key_block + head * nbytes * kKeyBlock, *values = to.value + head * nbytes;
        store_q8(key + head * size, size, keys + to.lane, kKeyBlock, keys + size * kKeyBlock + 2 * to.lane, 2 * kKeyBlock);
        store_q8(value + head * size, size, values, 1, values + size, 2);
    }
}

}  // namespace

void Engine::mix(const AttentionLayer& m, size_t layer, std::span<const Segment> segments, int64_t rows) {
    const int64_t stride = m.query_size() + 2 * m.kv_size();
    const Activations x = normed_input(weights_.layers[layer].norm, rows);
    matmul(m.q, x, projected_.data(), stride);
    matmul(m.k, x, projected_.data() + m.query_size(), stride);
    matmul(m.v, x, projected_.data() + m.query_size() + m.kv_size(), stride);
    if (m.rope_theta > 0) rotate(m, segments);
    switch (state_shape_.slots[layer].kv) {
        case KvType::kFloat32: attend<float>(m, layer, segments, kernels_.attention_float.run); break;
        case KvType::kFloat16: attend<uint16_t>(m, layer, segments, kernels_.attention.run); break;
        case KvType::kQ8: attend<int8_t>(m, layer, segments, kernels_.attention_q8.run); break;
    }
    const Activations attended = input(inner_.data(), rows, m.query_size(), [](int64_t) {});
    matmul(m.out, attended, mixed_.data(), weights_.hidden);
}

void Engine::rotate(const AttentionLayer& m, std::span<const Segment> segments) {
    const int64_t half = m.head_dim / 2, stride = m.query_size() + 2 * m.kv_size();
    for (const Segment& segment : segments) {
        pool_.parallel_for(segment.count, 16, [&](int, int64_t begin, int64_t end) {
            for (int64_t t = begin; t < end; ++t) {
                float *cosine = delta_.data() + (segment.begin + t) * m.head_dim, *sine = cosine + half;
                for (int64_t i = 0; i < half; ++i) {
                    const double angle = static_cast<double>(segment.state->position() + t) *
                                         std::pow(static_cast<double>(m.rope_theta), -2.0 * static_cast<double>(i) / m.head_dim);
                    cosine[i] = static_cast<float>(std::cos(angle)), sine[i] = static_cast<float>(std::sin(angle));
                }
                float* row = projected_.data() + (segment.begin + t) * stride;
                kernels_.rope_pairs.run(row, m.heads + m.kv_heads, m.head_dim, cosine, sine);
            }
        });
    }
}

template <class Element>
void Engine::attend(const AttentionLayer& m, size_t layer, std::span<const Segment> segments, AttentionKernel<Element> kernel) {
    for (const Segment& segment : segments)
        pool_.parallel_for(segment.count, kKeyBlock, [&](int, int64_t begin, int64_t end) { store_rows<Element>(m, layer, segment, begin, end); });

    const int64_t stride = m.query_size() + 2 * m.kv_size(), group = m.heads / m.kv_heads;
    const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(m.head_dim)));
    // Later queries see more keys: they start, so that the last job taken is a short one.
    const int64_t most = std::max<int64_t>(1, kAttentionQueries / group);
    attention_jobs_.clear();
    for (const Segment& segment : segments)
        for (int64_t first = (segment.count - 1) / most * most; first >= 0; first -= most)
            for (int64_t head = 0; head < m.kv_heads; ++head) attention_jobs_.push_back({&segment, first, head});
    pool_.parallel_for(static_cast<int64_t>(attention_jobs_.size()), 1, [&](int thread, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const auto& [segment, first, head] = attention_jobs_[static_cast<size_t>(i)];
            const LayerState& slot = segment->state->layer(layer);
            const int64_t nbytes = kv_head_nbytes(slot.kv, m.head_dim), values = m.kv_heads * nbytes / static_cast<int64_t>(sizeof(Element));
            const CachedHead<Element> cache{segment->state->pages(), slot.keys + head * nbytes * kKeyBlock, values * kKeyBlock,
                                            slot.values + head * nbytes, values};
            const int64_t row = segment->begin + first, column = head * group * m.head_dim;
            kernel(projected_.data() + row * stride + column, stride, cache, segment->state->position() + first,
                   std::min(most, segment->count - first), group, m.head_dim, scale, inner_.data() + row * m.query_size() + column,
                   m.query_size(), attention_scratch_[thread].data());
        }
    });
}

// Keys and values of a segment's rows [begin, end) into its pages.
template <class Element>
void Engine::store_rows(const AttentionLayer& m, size_t layer, const Segment& segment, int64_t begin, int64_t end) {
    const LayerState& slot = segment.state->layer(layer);
    const int64_t stride = m.query_size() + 2 * m.kv_size(), nbytes = slot.kv_nbytes();
    for (int64_t t = begin; t < end; ++t) {
        const float* key = projected_.data() + (segment.begin + t) * stride + m.query_size();
        const int64_t place = segment.state->position() + t, token = place % kPageTokens;
        uint8_t* page = segment.state->pages()[place / kPageTokens];
        store(kernels_, slot, key, key + m.kv_size(),
              TokenPlace<Element>{reinterpret_cast<Element*>(page + slot.keys + token / kKeyBlock * kKeyBlock * nbytes), token % kKeyBlock,
                                  reinterpret_cast<Element*>(page + slot.values + token * nbytes)});
    }
}

}  // namespace mambino
