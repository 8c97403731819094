// What a model learned, as typed views into memory that the caller keeps alive; and the checks that make them safe to use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernels/table.h"

namespace mambino {

// Mamba-2: heads H of size P, state N, groups G. in_proj rows: z | x | B | C | dt. a is -exp(A_log).
struct MambaLayer {
    int64_t heads, head_dim, state_size, groups, conv_width;
    float dt_low, dt_high;
    Matrix in_proj, out_proj;
    const float *conv_weight, *conv_bias;   // [channels][conv_width], [channels]
    const float *a, *d, *dt_bias;           // [H]
    const float* gate_norm;                 // [H * P]

    int64_t inner_size() const { return heads * head_dim; }
    int64_t channels() const { return inner_size() + 2 * groups * state_size; }
    int64_t in_proj_rows() const { return inner_size() + channels() + heads; }
};

// Grouped-query attention; rope_theta 0 means no positions. Rotated pairs are adjacent rows of q and k.
struct AttentionLayer {
    int64_t heads, kv_heads, head_dim;
    float rope_theta;
    Matrix q, k, v, out;

    int64_t query_size() const { return heads * head_dim; }
    int64_t kv_size() const { return kv_heads * head_dim; }
};

// relu2: down(max(up x, 0)^2); gated: down(silu(gate x) * up x).
struct MlpLayer {
    bool gated;
    Matrix gate, up, down;
};

struct Layer {
    const float* norm;  // [hidden]
    std::variant<MambaLayer, AttentionLayer, MlpLayer> mixer;
};

struct Weights {
    int64_t hidden, vocab;
    float norm_eps;
    Matrix embeddings, head;  // head is embeddings when tied
    const float* final_norm;
    std::vector<Layer> layers;

    // Throws Error unless every matrix has the shape that its layer says and a width that its type can hold.
    void check_shapes() const;
    // The matrix of a layer by its name in files ("in_proj", "q_proj", "down_proj"). Throws Error if there is none.
    const Matrix& projection(size_t layer, const std::string& name) const;
};

}  // namespace mambino
