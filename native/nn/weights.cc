#include "nn/weights.h"

#include "base/check.h"

namespace mambino {
namespace {

void check_matrix(const char* name, size_t layer, const Matrix& w, int64_t rows, int64_t cols) {
    check(w.rows == rows && w.cols == cols, "[weights] layer ", layer, ", ", name, ": expected shape (", rows, ", ", cols,
          "), got (", w.rows, ", ", w.cols, ")");
    const DTypeInfo& type = dtype_info(w.type);
    check(w.cols % type.block_size == 0, "[weights] layer ", layer, ", ", name, ": rows of ", w.cols, " values do not divide into ",
          type.name, " blocks of ", type.block_size);
}

struct ShapeCheck {
    size_t layer;
    int64_t hidden;

    void operator()(const MambaLayer& m) const {
        check(m.heads > 0 && m.head_dim > 0 && m.state_size > 0 && m.groups > 0 && m.conv_width > 0 && m.heads % m.groups == 0,
              "[weights] layer ", layer, ": impossible Mamba sizes");
        check_matrix("in_proj", layer, m.in_proj, m.in_proj_rows(), hidden);
        check_matrix("out_proj", layer, m.out_proj, hidden, m.inner_size());
    }
    void operator()(const AttentionLayer& m) const {
        check(m.heads > 0 && m.kv_heads > 0 && m.head_dim > 0 && m.heads % m.kv_heads == 0 &&
                  m.heads / m.kv_heads <= kAttentionQueries,
              "[weights] layer ", layer, ": impossible attention sizes");
        check_matrix("q_proj", layer, m.q, m.query_size(), hidden);
        check_matrix("k_proj", layer, m.k, m.kv_size(), hidden);
        check_matrix("v_proj", layer, m.v, m.kv_size(), hidden);
        check_matrix("o_proj", layer, m.out, hidden, m.query_size());
    }
    void operator()(const MlpLayer& m) const {
        check_matrix("up_proj", layer, m.up, m.up.rows, hidden);
        check_matrix("down_proj", layer, m.down, hidden, m.up.rows);
        if (m.gated) check_matrix("gate_proj", layer, m.gate, m.up.rows, hidden);
    }
};

struct Find {
    const std::string& name;

    const Matrix* operator()(const MambaLayer& m) const { return name == "in_proj" ? &m.in_proj : name == "out_proj" ? &m.out_proj : nullptr; }
    const Matrix* operator()(const AttentionLayer& m) const {
        return name == "q_proj" ? &m.q : name == "k_proj" ? &m.k : name == "v_proj" ? &m.v : name == "o_proj" ? &m.out : nullptr;
    }
    const Matrix* operator()(const MlpLayer& m) const {
        return name == "up_proj" ? &m.up : name == "down_proj" ? &m.down : name == "gate_proj" && m.gated ? &m.gate : nullptr;
    }
};

}  // namespace

void Weights::check_shapes() const {
    check(hidden > 0 && vocab > 0, "[weights] impossible sizes");
    check_matrix("embeddings", 0, embeddings, vocab, hidden);
    check_matrix("lm_head", layers.size(), head, vocab, hidden);
    for (size_t i = 0; i < layers.size(); ++i) std::visit(ShapeCheck{i, hidden}, layers[i].mixer);
}

const Matrix& Weights::projection(size_t layer, const std::string& name) const {
    const Matrix* found = layer < layers.size() ? std::visit(Find{name}, layers[layer].mixer) : nullptr;
    check(found != nullptr, "[weights] layer ", layer, " has no ", name);
    return *found;
}

}  // namespace mambino
