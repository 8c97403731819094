// Softmax attention for one query at a time, in two passes over the scores: what the fast paths must equal.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/fp16.h"
#include "kernels/table.h"

namespace mambino {
namespace {

float key_at(const uint16_t* head, int64_t e, int64_t lane, int64_t) { return fp16_to_float(head[e * kKeyBlock + lane]); }
float key_at(const float* head, int64_t e, int64_t lane, int64_t) { return head[e * kKeyBlock + lane]; }
float value_at(const uint16_t* head, int64_t e, int64_t) { return fp16_to_float(head[e]); }
float value_at(const float* head, int64_t e, int64_t) { return head[e]; }

float scale_at(const int8_t* scales, int64_t i) {
    uint16_t half;
    std::memcpy(&half, scales + 2 * i, 2);
    return fp16_to_float(half);
}
float key_at(const int8_t* head, int64_t e, int64_t lane, int64_t head_dim) {
    return static_cast<float>(head[e * kKeyBlock + lane]) * scale_at(head + head_dim * kKeyBlock, e / kKvGroup * kKeyBlock + lane);
}
float value_at(const int8_t* head, int64_t e, int64_t head_dim) {
    return static_cast<float>(head[e]) * scale_at(head + head_dim, e / kKvGroup);
}

template <class Element>
void attention(const float* q, int64_t q_stride, const CachedHead<Element>& cache, int64_t position, int64_t tokens, int64_t group,
               int64_t head_dim, float scale, float* out, int64_t out_stride, float*) {
    std::vector<float> scores(static_cast<size_t>(position + tokens));
    std::vector<double> sums(static_cast<size_t>(head_dim));
    for (int64_t query = 0; query < tokens * group; ++query) {
        const int64_t t = query / group, visible = position + t + 1;
        const float* q_head = q + t * q_stride + query % group * head_dim;
        float* out_head = out + t * out_stride + query % group * head_dim;
        for (int64_t k = 0; k < visible; ++k) {
            const Element* key = cache.key_block(k);
            float dot = 0.0f;
            for (int64_t e = 0; e < head_dim; ++e) dot += q_head[e] * key_at(key, e, k % kKeyBlock, head_dim);
            scores[k] = dot * scale;
        }
        const float top = *std::max_element(scores.begin(), scores.begin() + visible);
        double total = 0.0;
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t k = 0; k < visible; ++k) {
            const double weight = std::exp(static_cast<double>(scores[k] - top));
            total += weight;
            for (int64_t e = 0; e < head_dim; ++e) sums[e] += weight * value_at(cache.value(k), e, head_dim);
        }
        for (int64_t e = 0; e < head_dim; ++e) out_head[e] = static_cast<float>(sums[e] / total);
    }
}

}  // namespace

size_t attention_scratch_floats(int64_t head_dim) {
    constexpr size_t kTile = 64;  // see attention/vector.h: keys, values, scores, sums, top, total
    return 2 * kTile * head_dim + kAttentionQueries * (kTile + head_dim + 2);
}

void fill_attention_reference(KernelTable& table) {
    table.attention.set(attention<uint16_t>, Isa::kReference);
    table.attention_float.set(attention<float>, Isa::kReference);
    table.attention_q8.set(attention<int8_t>, Isa::kReference);
}

}  // namespace mambino
