// The Python module: weights as views, an engine, states. The only folder that includes nanobind.
//
// Arrays come in as views and must outlive the engine (engine/native.py holds them). Every forward pass runs without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "base/check.h"
#include "nn/ceilings.h"
#include "nn/engine.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace mambino {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ByteView = nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatTable = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Tokens = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

DType dtype_named(const std::string& name) {
    for (int i = 0; i < kNumDTypes; ++i)
        if (name == kDTypes[i].name) return static_cast<DType>(i);
    throw Error(concat("[engine] no kernels for weights of type ", name));
}

Isa isa_named(const std::string& name) {
    if (name == "best") return best_isa();
    for (const Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512})
        if (name == isa_name(isa)) return isa;
    throw Error(concat("[engine] unknown instruction set ", name, "; expected best, reference, avx2 or avx512"));
}

KvType kv_named(const std::string& name) {
    if (name == "f32") return KvType::kFloat32;
    if (name == "f16") return KvType::kFloat16;
    if (name == "q8") return KvType::kQ8;
    throw Error(concat("[engine] unknown type of keys and values ", name, "; expected f32, f16 or q8"));
}

Matrix make_matrix(const std::string& type, int64_t rows, int64_t cols, const Bytes& data) {
    const Matrix matrix{dtype_named(type), rows, cols, data.data()};
    const DTypeInfo& info = dtype_info(matrix.type);
    check(rows > 0 && cols > 0 && cols % info.block_size == 0, "[engine] a ", type, " matrix cannot have shape (", rows, ", ", cols, ")");
    check(static_cast<int64_t>(data.size()) == rows * row_nbytes(matrix.type, cols), "[engine] a ", type, " matrix of shape (", rows,
          ", ", cols, ") needs ", rows * row_nbytes(matrix.type, cols), " bytes, got ", data.size());
    return matrix;
}

const float* vector_of(const Floats& values, int64_t size, const char* name) {
    check(static_cast<int64_t>(values.size()) == size, "[engine] ", name, ": expected ", size, " values, got ", values.size());
    return values.data();
}

void add_mamba(Weights& w, const Floats& norm, int64_t heads, int64_t head_dim, int64_t state_size, int64_t groups, int64_t conv_width,
               float dt_low, float dt_high, const Matrix& in_proj, const Matrix& out_proj, const Floats& conv_weight,
               const Floats& conv_bias, const Floats& a, const Floats& d, const Floats& dt_bias, const Floats& gate_norm) {
    MambaLayer m{heads, head_dim, state_size, groups, conv_width, dt_low, dt_high, in_proj, out_proj, nullptr, nullptr,
                 nullptr, nullptr, nullptr, nullptr};
    m.conv_weight = vector_of(conv_weight, m.channels() * conv_width, "conv1d.weight");
    m.conv_bias = vector_of(conv_bias, m.channels(), "conv1d.bias");
    m.a = vector_of(a, heads, "a");
    m.d = vector_of(d, heads, "D");
    m.dt_bias = vector_of(dt_bias, heads, "dt_bias");
    m.gate_norm = vector_of(gate_norm, m.inner_size(), "mixer.norm.weight");
    w.layers.push_back({vector_of(norm, w.hidden, "norm.weight"), m});
}

void add_attention(Weights& w, const Floats& norm, int64_t heads, int64_t kv_heads, int64_t head_dim, float rope_theta,
                   const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& out) {
    w.layers.push_back({vector_of(norm, w.hidden, "norm.weight"), AttentionLayer{heads, kv_heads, head_dim, rope_theta, q, k, v, out}});
}

void add_mlp(Weights& w, const Floats& norm, const Matrix& up, const Matrix& down, const Matrix* gate) {
    w.layers.push_back({vector_of(norm, w.hidden, "norm.weight"), MlpLayer{gate != nullptr, gate ? *gate : up, up, down}});
}

void extend_many(Engine& engine, const std::vector<SequenceState*>& states, const std::vector<Tokens>& tokens, Logits out) {
    check(states.size() == tokens.size() && states.size() == out.shape(0) &&
              static_cast<int64_t>(out.shape(1)) == engine.weights().vocab,
          "[engine] states, tokens and logits differ in number");
    std::vector<std::span<const int32_t>> spans;
    for (const Tokens& one : tokens) spans.emplace_back(one.data(), one.size());
    float* data = out.data();
    nb::gil_scoped_release released;
    engine.extend(states, spans, data);
}

void score(Engine& engine, const Tokens& tokens, Logits out) {
    check(tokens.size() == out.shape(0) && static_cast<int64_t>(out.shape(1)) == engine.weights().vocab,
          "[engine] tokens and logits differ in number");
    const std::span<const int32_t> span(tokens.data(), tokens.size());
    float* data = out.data();
    nb::gil_scoped_release released;
    engine.score(span, data);
}

void verify(Engine& engine, SequenceState& state, const Tokens& tokens, Logits out) {
    check(tokens.size() == out.shape(0) && static_cast<int64_t>(out.shape(1)) == engine.weights().vocab,
          "[engine] tokens and logits differ in number");
    const std::span<const int32_t> span(tokens.data(), tokens.size());
    float* data = out.data();
    nb::gil_scoped_release released;
    engine.verify(state, span, data);
}

// (id, bytes) of each piece of a snapshot's memory.
std::vector<std::pair<uint64_t, size_t>> pieces(const StateSnapshot& snapshot) {
    std::vector<std::pair<uint64_t, size_t>> all;
    for (const PiecePointer& piece : snapshot.pieces()) all.emplace_back(piece->id, piece->nbytes);
    return all;
}

// Views of the pieces' bytes, each keeping its piece alive.
std::vector<ByteView> piece_bytes(const Engine& engine, const StateSnapshot& snapshot) {
    check(snapshot.shape == engine.state_shape(), "[state] the snapshot is of another model, or of another type of keys and values");
    std::vector<ByteView> views;
    for (const PiecePointer& piece : snapshot.pieces()) {
        const nb::capsule owner(new PiecePointer(piece), [](void* pointer) noexcept { delete static_cast<PiecePointer*>(pointer); });
        views.emplace_back(piece->bytes.data(), std::initializer_list<size_t>{piece->nbytes}, owner);
    }
    return views;
}

std::unique_ptr<StateSnapshot> snapshot_of(const Engine& engine, int64_t position, const std::vector<Bytes>& pieces) {
    std::vector<std::span<const uint8_t>> spans;
    for (const Bytes& piece : pieces) spans.emplace_back(piece.data(), piece.size());
    return StateSnapshot::of_bytes(engine.state_shape(), position, spans);
}

// blocks: (first row of the weight, first value of A x, B's values [rows][cols]).
void add_low_rank(const Engine& engine, Adapter& adapter, size_t layer, const std::string& name, const FloatTable& a,
                  const std::vector<std::tuple<int64_t, int64_t, FloatTable>>& blocks) {
    const auto values = [](const FloatTable& table) { return std::span(table.data(), table.size()); };
    std::vector<Adapter::BlockValues> parts;
    for (const auto& [row, column, b] : blocks)
        parts.push_back({row, column, static_cast<int64_t>(b.shape(0)), static_cast<int64_t>(b.shape(1)), values(b)});
    adapter.add(engine.weights().projection(layer, name), static_cast<int64_t>(a.shape(0)), values(a), parts);
}

// Op -> the instruction set of the kernel that serves it; one entry per weight type for products.
nb::dict kernel_names(const std::string& isa) {
    const KernelTable table = kernel_table(isa_named(isa));
    nb::dict names;
    for (int i = 0; i < kNumDTypes; ++i) {
        const std::string type = kDTypes[i].name;
        names[("gemv." + type).c_str()] = isa_name(table.gemv[i].isa);
        names[("gemm." + type).c_str()] = isa_name(table.gemm[i].isa);
    }
    names["quantize_q8"] = isa_name(table.quantize_q8.isa);
    names["rms_norm"] = isa_name(table.rms_norm.isa);
    names["gated_group_norm"] = isa_name(table.gated_group_norm.isa);
    names["relu2"] = isa_name(table.relu2.isa);
    names["swiglu"] = isa_name(table.swiglu.isa);
    names["conv_silu"] = isa_name(table.conv_silu.isa);
    names["ssm_scan"] = isa_name(table.ssm_scan.isa);
    names["attention"] = isa_name(table.attention.isa);
    names["attention.q8"] = isa_name(table.attention_q8.isa);
    return names;
}

}  // namespace
}  // namespace mambino

NB_MODULE(_native, module) {
    using namespace mambino;
    nb::set_leak_warnings(false);
    module.attr("BUILD_ID") = MAMBINO_BUILD_ID;
    const auto native_error = nb::exception<Error>(module, "NativeError");
    nb::exception<ContextFullError>(module, "NativeContextFull", native_error);

    module.def("weight_types", [] {
        std::vector<std::string> names;
        for (const DTypeInfo& type : kDTypes) names.push_back(type.name);
        return names;
    });
    module.def("best_isa", [] { return isa_name(best_isa()); });
    module.def("measure_ceilings", [](int threads) {
        nb::gil_scoped_release released;
        const Ceilings ceilings = measure_ceilings(threads);
        return std::pair(ceilings.read_bytes_per_s, ceilings.int8_ops_per_s);
    }, "threads"_a);
    module.def("kernel_names", kernel_names, "isa"_a, nb::sig("def kernel_names(isa: str) -> dict[str, str]"));

    nb::class_<Matrix>(module, "Matrix")
        .def("__init__", [](Matrix* self, const std::string& type, int64_t rows, int64_t cols, const Bytes& data) {
            new (self) Matrix(make_matrix(type, rows, cols, data));
        }, "type"_a, "rows"_a, "cols"_a, "data"_a);

    nb::class_<Weights>(module, "Weights")
        .def("__init__", [](Weights* self, int64_t hidden, int64_t vocab, float norm_eps, const Matrix& embeddings, const Matrix& head,
                            const Floats& final_norm) {
            new (self) Weights{hidden, vocab, norm_eps, embeddings, head, vector_of(final_norm, hidden, "norm_f.weight"), {}};
        }, "hidden"_a, "vocab"_a, "norm_eps"_a, "embeddings"_a, "head"_a, "final_norm"_a)
        .def("add_mamba", add_mamba, nb::kw_only(), "norm"_a, "heads"_a, "head_dim"_a, "state_size"_a, "groups"_a, "conv_width"_a,
             "dt_low"_a, "dt_high"_a, "in_proj"_a, "out_proj"_a, "conv_weight"_a, "conv_bias"_a, "a"_a, "d"_a, "dt_bias"_a, "gate_norm"_a)
        .def("add_attention", add_attention, nb::kw_only(), "norm"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "rope_theta"_a, "q"_a,
             "k"_a, "v"_a, "out"_a)
        .def("add_mlp", add_mlp, nb::kw_only(), "norm"_a, "up"_a, "down"_a, "gate"_a.none());

    nb::class_<StateSnapshot>(module, "Snapshot")
        .def_ro("position", &StateSnapshot::position)
        .def_prop_ro("nbytes", &StateSnapshot::nbytes)
        .def_prop_ro("pieces", pieces);

    nb::class_<Adapter>(module, "Adapter")
        .def(nb::init<>())
        .def_prop_ro("nbytes", &Adapter::nbytes);

    nb::class_<SequenceState>(module, "SequenceState")
        .def_prop_ro("position", &SequenceState::position)
        .def_prop_ro("max_tokens", &SequenceState::max_tokens)
        .def_prop_ro("nbytes", &SequenceState::nbytes)
        .def("snapshot", &SequenceState::snapshot, nb::call_guard<nb::gil_scoped_release>())
        .def("restore", &SequenceState::restore, "snapshot"_a, nb::call_guard<nb::gil_scoped_release>());

    nb::class_<Engine>(module, "Engine")
        .def("__init__", [](Engine* self, const Weights& weights, const std::string& isa, int threads, bool float_activations, const std::string& kv) {
            new (self) Engine(weights, isa_named(isa), threads, float_activations, kv_named(kv));
        }, "weights"_a, "isa"_a, "threads"_a, "float_activations"_a, "kv"_a)
        .def_prop_ro("threads", &Engine::num_threads)
        .def("add_low_rank", add_low_rank, "adapter"_a, "layer"_a, "name"_a, "a"_a, "blocks"_a)
        .def("new_state", &Engine::new_state, "max_tokens"_a, "adapter"_a.none() = nb::none())
        .def("piece_bytes", piece_bytes, "snapshot"_a)
        .def("snapshot_of", snapshot_of, "position"_a, "pieces"_a)
        .def("extend_many", extend_many, "states"_a, "tokens"_a, "out"_a.noconvert())
        .def("verify", verify, "state"_a, "tokens"_a, "out"_a.noconvert())
        .def("accept", &Engine::accept, "state"_a, "count"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("score", score, "tokens"_a, "out"_a.noconvert());
}
