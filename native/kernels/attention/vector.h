// Blocked softmax attention for any vector type of kernels/simd; avx2.cc and avx512.cc are instances.
//
// Keys pass in tiles of kTile: scored against all queries of the call, folded into a running softmax (maximum, total and
// weighted values per query, rescaled when the maximum grows), so memory does not grow with the context. Where queries are many
// a tile is decoded to float32 once for all; a few read it where it lies.
// Source: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135.
#pragma once

#include <cmath>
#include <limits>
#include <utility>

#include "base/fp16.h"
#include "kernels/simd/exp.h"
#include "kernels/table.h"

namespace mambino {

// V: vector type; Element: what the cache holds, uint16_t (float16), float or int8_t (q8).
template <class V, class Element>
struct Attention {
    using Reg = typename V::Reg;
    using Kernel = AttentionKernel<Element>;
    static constexpr int64_t kLanes = V::kLanes;
    static constexpr int64_t kTile = 64;    // keys
    static constexpr int64_t kQueries = 6;  // at most so many share each load of a key or value: their sums fill the registers
    static constexpr float kHidden = -std::numeric_limits<float>::infinity();
    static_assert(kPageTokens % kTile == 0 && kTile % kKeyBlock == 0 && kTile % (V::kKeyRegs * kLanes) == 0 && kKeyBlock % kLanes == 0);

    static constexpr auto kWidths = std::make_integer_sequence<int, kQueries>{};

    static inline Kernel fallback = nullptr;

    // Views into the caller's scratch.
    struct Work {
        float *keys, *values;  // [head_dim][kTile], [kTile][head_dim]
        float *scores, *sums;  // [query][kTile], [query][head_dim]
        float *top, *total;    // [query]
        Work(float* scratch, int64_t head_dim)
            : keys(scratch), values(keys + kTile * head_dim), scores(values + kTile * head_dim),
              sums(scores + kAttentionQueries * kTile), top(sums + kAttentionQueries * head_dim), total(top + kAttentionQueries) {}
    };

    // What is asked: query i is head i % group of token i / group.
    struct Asked {
        const float* q;
        int64_t q_stride, group, head_dim, position;
        float scale;
        const float* head(int64_t i) const { return q + i / group * q_stride + i % group * head_dim; }
    };

    static void attention(const float* q, int64_t q_stride, const CachedHead<Element>& cache, int64_t position, int64_t tokens,
                          int64_t group, int64_t head_dim, float scale, float* out, int64_t out_stride, float* scratch) {
        if (head_dim % kLanes) {
            fallback(q, q_stride, cache, position, tokens, group, head_dim, scale, out, out_stride, scratch);
            return;
        }
        const Work work(scratch, head_dim);
        const Decoded decoded{work.keys, work.values, head_dim};
        const Asked asked{q, q_stride, group, head_dim, position, scale};
        const int64_t queries = tokens * group, context = position + tokens, parts = (queries + kQueries - 1) / kQueries;
        for (int64_t i = 0; i < queries * head_dim; ++i) work.sums[i] = 0.0f;
        for (int64_t i = 0; i < queries; ++i) work.top[i] = kHidden, work.total[i] = 0.0f;

        for (int64_t first = 0; first < context; first += kTile) {
            const int64_t count = context - first < kTile ? context - first : kTile;
            const Stored stored(cache, first, first + kTile < context ? first + kTile : first, head_dim);
            if (parts == 1) {
                meet_function<Stored>(queries, kWidths)(asked, 0, first, count, stored, work);
                continue;
            }
            decode(stored, count, work);
            for (int64_t part = 0; part < parts; ++part) {
                const int64_t begin = queries * part / parts, width = queries * (part + 1) / parts - begin;
                meet_function<Decoded>(width, kWidths)(asked, begin, first, count, decoded, work);
            }
        }
        for (int64_t query = 0; query < queries; ++query) {
            const Reg inverse = V::set(1.0f / work.total[query]);
            float* out_head = out + query / group * out_stride + query % group * head_dim;
            for (int64_t e = 0; e < head_dim; e += kLanes) V::store(out_head + e, V::mul(V::load(work.sums + query * head_dim + e), inverse));
        }
    }

    static Reg load_key(const uint16_t* head, int64_t e, int64_t lane, int64_t) { return V::load_half(head + e * kKeyBlock + lane); }
    static Reg load_key(const float* head, int64_t e, int64_t lane, int64_t) { return V::load(head + e * kKeyBlock + lane); }
    static Reg load_key(const int8_t* head, int64_t e, int64_t lane, int64_t head_dim) {
        const auto* scales = reinterpret_cast<const uint16_t*>(head + head_dim * kKeyBlock);
        return V::mul(V::load_int8(head + e * kKeyBlock + lane), V::load_half(scales + e / kKvGroup * kKeyBlock + lane));
    }
    static Reg load_value(const uint16_t* head, int64_t e, int64_t) { return V::load_half(head + e); }
    static Reg load_value(const float* head, int64_t e, int64_t) { return V::load(head + e); }
    static Reg load_value(const int8_t* head, int64_t e, int64_t head_dim) {
        const auto* scales = reinterpret_cast<const uint16_t*>(head + head_dim);
        return V::mul(V::load_int8(head + e), V::set(fp16_to_float(scales[e / kKvGroup])));
    }

    // A tile where it lies, in one page. Reading it also prefetches the next one, in the same order.
    struct Stored {
        const Element *keys, *values;
        int64_t key_block_stride, value_stride, head_dim;
        intptr_t keys_ahead, values_ahead;

        Stored(const CachedHead<Element>& cache, int64_t first, int64_t next, int64_t size)
            : keys(cache.key_block(first)), values(cache.value(first)), key_block_stride(cache.key_block_stride),
              value_stride(cache.value_stride), head_dim(size), keys_ahead(distance(keys, cache.key_block(next))),
              values_ahead(distance(values, cache.value(next))) {}

        Reg key(int64_t e, int64_t k) const {
            const Element* head = keys + k / kKeyBlock * key_block_stride;
            prefetch(head + e * kKeyBlock + k % kKeyBlock, keys_ahead);
            return load_key(head, e, k % kKeyBlock, head_dim);
        }
        Reg value(int64_t k, int64_t e) const {
            const Element* head = values + k * value_stride;
            prefetch(head + e, values_ahead);
            return load_value(head, e, head_dim);
        }
    };

    struct Decoded {
        const float *keys, *values;
        int64_t head_dim;
        Reg key(int64_t e, int64_t k) const { return V::load(keys + e * kTile + k); }
        Reg value(int64_t k, int64_t e) const { return V::load(values + k * head_dim + e); }
    };

    // Keys in whole blocks: what a block holds past count keys is read, and hidden afterwards.
    static void decode(const Stored& tile, int64_t count, const Work& work) {
        for (int64_t block = 0; block < count; block += kKeyBlock)
            for (int64_t e = 0; e < tile.head_dim; ++e)
                for (int64_t k = block; k < block + kKeyBlock; k += kLanes) V::store(work.keys + e * kTile + k, tile.key(e, k));
        for (int64_t k = 0; k < count; ++k)
            for (int64_t e = 0; e < tile.head_dim; e += kLanes) V::store(work.values + k * tile.head_dim + e, tile.value(k, e));
    }

    // In bytes, between any two objects.
    static intptr_t distance(const Element* from, const Element* to) {
        return reinterpret_cast<intptr_t>(to) - reinterpret_cast<intptr_t>(from);
    }
    static void prefetch(const Element* at, intptr_t ahead) {
        __builtin_prefetch(reinterpret_cast<const char*>(reinterpret_cast<intptr_t>(at) + ahead), 0, 2);
    }

    // Queries begin .. begin + width - 1 meet the tile of keys first .. first + count - 1.
    template <class Tile, int width>
    static void meet(const Asked& asked, int64_t begin, int64_t first, int64_t count, const Tile& tile, const Work& work) {
        const float* heads[width];
        for (int i = 0; i < width; ++i) heads[i] = asked.head(begin + i);
        score_tile<Tile, width>(heads, count, tile, work.scores + begin * kTile);
        for (int64_t query = begin; query < begin + width; ++query)
            fold_scores(asked.position + query / asked.group + 1 - first, asked.scale, asked.head_dim, query, work);
        add_values<Tile, width>(work.scores + begin * kTile, count, tile, work.sums + begin * asked.head_dim);
    }

    template <class Tile, int... i>
    static auto meet_function(int64_t width, std::integer_sequence<int, i...>) {
        static constexpr void (*by_width[])(const Asked&, int64_t, int64_t, int64_t, const Tile&, const Work&) = {meet<Tile, i + 1>...};
        return by_width[width - 1];
    }

    // scores[i][k] = heads[i] . keys[:, k], k < count; columns past those hold anything.
    template <class Tile, int width>
    static void score_tile(const float* const (&heads)[width], int64_t count, const Tile& tile, float* scores) {
        constexpr int kRegs = V::kKeyRegs;
        for (int64_t k = 0; k < count; k += kRegs * kLanes) {
            Reg sums[width][kRegs];
            for (int i = 0; i < width; ++i)
                for (int j = 0; j < kRegs; ++j) sums[i][j] = V::zero();
            for (int64_t e = 0; e < tile.head_dim; ++e) {
                Reg key[kRegs];
                for (int j = 0; j < kRegs; ++j) key[j] = tile.key(e, k + j * kLanes);
                for (int i = 0; i < width; ++i) {
                    const Reg value = V::set(heads[i][e]);
                    for (int j = 0; j < kRegs; ++j) sums[i][j] = V::fma(value, key[j], sums[i][j]);
                }
            }
            for (int i = 0; i < width; ++i)
                for (int j = 0; j < kRegs; ++j) V::store(scores + i * kTile + k + j * kLanes, sums[i][j]);
        }
    }

    // Turn one query's scores into weights relative to its running maximum; visible: how many keys of the tile it sees.
    static void fold_scores(int64_t visible, float scale, int64_t head_dim, int64_t query, const Work& work) {
        float* scores = work.scores + query * kTile;
        for (int64_t k = visible < 0 ? 0 : visible; k < kTile; ++k) scores[k] = kHidden;
        Reg top = V::set(kHidden);
        for (int64_t k = 0; k < kTile; k += kLanes) top = V::max(top, V::load(scores + k));
        const float old_top = work.top[query], tile_top = V::top(top) * scale;
        const float new_top = tile_top > old_top ? tile_top : old_top;
        Reg total = V::zero();
        for (int64_t k = 0; k < kTile; k += kLanes) {
            // a hidden score would become exp(-87) rather than 0: cut it off by its own value
            const Reg raw = V::load(scores + k);
            const Reg weight = V::zero_where_hidden(vector_exp<V>(V::fma(raw, V::set(scale), V::set(-new_top))), raw);
            total = V::add(total, weight);
            V::store(scores + k, weight);
        }
        if (new_top > old_top && old_top != kHidden) {
            const float shrink = std::exp(old_top - new_top);
            work.total[query] *= shrink;
            float* sums = work.sums + query * head_dim;
            for (int64_t e = 0; e < head_dim; e += kLanes) V::store(sums + e, V::mul(V::load(sums + e), V::set(shrink)));
        }
        work.top[query] = new_top;
        work.total[query] += V::sum(total);
    }

    // sums[i] += sum over k < count of weights[i][k] * values[k].
    template <class Tile, int width>
    static void add_values(const float* weights, int64_t count, const Tile& tile, float* sums) {
        for (int64_t e = 0; e < tile.head_dim;) {
            const int64_t left = (tile.head_dim - e) / kLanes;
            if (left >= V::kKeyRegs) e += add_columns<Tile, width, V::kKeyRegs>(weights, count, tile, e, sums + e);
            else e += add_columns<Tile, width, 1>(weights, count, tile, e, sums + e);
        }
    }

    // The values' columns from e on; returns how many.
    template <class Tile, int width, int kRegs>
    static int64_t add_columns(const float* weights, int64_t count, const Tile& tile, int64_t e, float* sums) {
        Reg total[width][kRegs];
        for (int i = 0; i < width; ++i)
            for (int j = 0; j < kRegs; ++j) total[i][j] = V::load(sums + i * tile.head_dim + j * kLanes);
        for (int64_t k = 0; k < count; ++k) {
            Reg value[kRegs];
            for (int j = 0; j < kRegs; ++j) value[j] = tile.value(k, e + j * kLanes);
            for (int i = 0; i < width; ++i) {
                const Reg weight = V::set(weights[i * kTile + k]);
                for (int j = 0; j < kRegs; ++j) total[i][j] = V::fma(weight, value[j], total[i][j]);
            }
        }
        for (int i = 0; i < width; ++i)
            for (int j = 0; j < kRegs; ++j) V::store(sums + i * tile.head_dim + j * kLanes, total[i][j]);
        return kRegs * kLanes;
    }

    static void fill(Entry<Kernel>& entry, Isa isa) {
        fallback = entry.run;
        entry.set(attention, isa);
    }
};

}  // namespace mambino
