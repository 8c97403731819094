// Every matrix product of every instruction set against its reference: ragged sizes, guarded memory, exact integers.
//
// Usage: test_matmul [isa [type]]. Prints what it checked; exit code 1 and one line a failure otherwise.
#include <cstdio>
#include <limits>
#include <string>

#include "base/aligned.h"
#include "kernels/codec/decode.h"
#include "random_product.h"

namespace mambino::testing {
namespace {

int failures = 0;

template <class... Parts>
void expect(bool ok, const Parts&... parts) {
    if (ok) return;
    if (++failures <= 40) std::fprintf(stderr, "FAILED %s\n", concat(parts...).c_str());
}

struct Case {
    DType type;
    Isa isa;
    bool many, is_float;  // gemm, not gemv; float32 activations
    int64_t rows, cols, tokens;
    Place place;
    Scales scales;

    std::string name() const {
        return concat(many ? "gemm" : "gemv", is_float ? "_float " : " ", dtype_info(type).name, " ", isa_name(isa),
                      " rows ", rows, " cols ", cols, " tokens ", tokens, scales == Scales::kRandom ? "" : scales == Scales::kUnit ? " exact" : " extreme");
    }
    const Entry<MatmulKernel>& entry(const KernelTable& table) const {
        const auto i = static_cast<size_t>(type);
        return many ? is_float ? table.gemm_float[i] : table.gemm[i] : is_float ? table.gemv_float[i] : table.gemv[i];
    }
};

// A forward bound on what float32 sums may lose: each of n additions and the few products before it round once, relative to
// the sum of magnitudes. n is the number of float terms of a row: 32-blocks (two for min or halves), or values.
double rounding_bound(const Case& c, const Matrix& w, const Activations& x, int64_t row, int64_t token) {
    double magnitude = 0;
    const bool by_value = c.is_float || dtype_info(c.type).is_float;
    if (by_value) {
        std::vector<float> decoded(static_cast<size_t>(c.cols));
        decode_row_reference(c.type, w.row(row), c.cols, decoded.data());
        for (int64_t k = 0; k < c.cols; ++k)
            magnitude += std::abs(double(decoded[static_cast<size_t>(k)]) * double(x.values[token * x.values_stride + k]));
    } else {
        for (int64_t b = 0; b < c.cols / 32; ++b) {
            const Block32 block = unpack_block32(c.type, w.row(row), b);
            double sum = 0;
            for (int half = 0; half < 2; ++half) {
                int dot = 0;
                for (int i = half * 16; i < half * 16 + 16; ++i) dot += block.q[i] * x.q8[token * c.cols + b * 32 + i];
                sum += std::abs(double(block.scale[half]) * dot) +
                       std::abs(double(block.min) * x.sum16[(token * c.cols + b * 32) / 16 + half]);
            }
            magnitude += sum * double(x.scale[token * (c.cols / 32) + b]);
        }
    }
    const double terms = by_value ? double(c.cols) : double(c.cols) / 16;
    return (terms + 8) * 0x1p-24 * magnitude;
}

void check_product(const Case& c, const KernelTable& table, const KernelTable& reference, std::mt19937& random) {
    const int64_t nbytes = row_nbytes(c.type, c.cols);
    GuardedBytes bytes(static_cast<size_t>(c.rows * nbytes), c.place);
    fill_weights(c.type, c.rows * c.cols, c.scales, random, bytes.data());
    const Matrix w{c.type, c.rows, c.cols, bytes.data()};
    RandomActivations activations(c.tokens, c.cols, c.scales, random);
    const Activations x = activations.packed_for(table, c.type);
    AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(c.cols));

    const int64_t y_stride = c.rows + 3;
    const auto size = static_cast<size_t>(c.tokens * y_stride);
    constexpr float kUntouched = 12345.0f;
    std::vector<float> fast(size, kUntouched), slow(size, kUntouched), parts(size, kUntouched);
    c.entry(table).run(w, 0, c.rows, x, fast.data(), y_stride, scratch.data());
    c.entry(reference).run(w, 0, c.rows, activations.view(), slow.data(), y_stride, scratch.data());
    const int64_t step = c.many ? kGemmPanelRows : 7;
    for (int64_t r = 0; r < c.rows; r += step)
        c.entry(table).run(w, r, std::min(r + step, c.rows), x, parts.data(), y_stride, scratch.data());

    // Few tokens and many go through different kernels; a token's product must not show which.
    std::vector<float> other(size, kUntouched);
    Case twin = c;
    twin.many = true;
    twin.entry(table).run(w, 0, c.rows, x, other.data(), y_stride, scratch.data());

    for (int64_t t = 0; t < c.tokens; ++t)
        for (int64_t r = 0; r < y_stride; ++r) {
            const auto i = static_cast<size_t>(t * y_stride + r);
            if (r >= c.rows) {
                expect(fast[i] == kUntouched, c.name(), ": wrote past the last row of token ", t);
                continue;
            }
            expect(fast[i] == other[i], c.name(), ": row ", r, " differs between gemv and gemm: ", fast[i], " and ", other[i]);
            expect(fast[i] == parts[i], c.name(), ": row ", r, " depends on the row range: ", fast[i], " and ", parts[i]);
            const double bound = c.scales != Scales::kRandom ? 0 : rounding_bound(c, w, activations.view(), r, t);
            expect(std::abs(double(fast[i]) - double(slow[i])) <= bound, c.name(), ": row ", r, " token ", t, " expected ",
                   slow[i], ", got ", fast[i], ", bound ", bound);
        }
}

void check_decode(DType type, Isa isa, const KernelTable& table, std::mt19937& random) {
    const int64_t unit = dtype_info(type).block_size;
    for (int64_t blocks : {1, 2, 3, 17, 98}) {
        const int64_t cols = unit * blocks;
        GuardedBytes bytes(static_cast<size_t>(row_nbytes(type, cols)), Place::kBeforeGuard);
        fill_weights(type, cols, Scales::kRandom, random, bytes.data());
        std::vector<float> fast(static_cast<size_t>(cols) + 1, -1), slow(fast);
        table.decode_row[static_cast<int>(type)].run(bytes.data(), cols, fast.data());
        decode_row_reference(type, bytes.data(), cols, slow.data());
        expect(std::memcmp(fast.data(), slow.data(), fast.size() * 4) == 0, "decode_row ", dtype_info(type).name, " ",
               isa_name(isa), " cols ", cols, ": bits differ");
    }
}

void check_quantize(Isa isa, const KernelTable& table, std::mt19937& random) {
    const KernelTable reference = kernel_table(Isa::kReference);
    for (int64_t cols : {32, 64, 96, 3136}) {
        const auto size = static_cast<size_t>(cols);
        std::vector<float> x(size);
        std::normal_distribution<float> normal;
        for (float& value : x) value = normal(random) * std::exp(normal(random));
        std::fill_n(x.begin(), 32, cols == 64 ? 0.0f : cols == 96 ? 1e-38f : 0.5f);
        const auto same = [](const auto& a, const auto& b) {
            return std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
        };
        if (cols == 3136) x[40] = NAN, x[64] = -INFINITY, x[127] = NAN;
        std::vector<int8_t> q[2] = {std::vector<int8_t>(size), std::vector<int8_t>(size)};
        std::vector<float> scale[2] = {std::vector<float>(size / 32), std::vector<float>(size / 32)};
        std::vector<int32_t> sum[2] = {std::vector<int32_t>(size / 16), std::vector<int32_t>(size / 16)};
        table.quantize_q8.run(x.data(), cols, q[0].data(), scale[0].data(), sum[0].data());
        reference.quantize_q8.run(x.data(), cols, q[1].data(), scale[1].data(), sum[1].data());
        expect(same(q[0], q[1]) && same(scale[0], scale[1]) && same(sum[0], sum[1]), "quantize_q8 ", isa_name(isa), " cols ",
               cols, ": bits differ from the reference");
        for (size_t b = 1; b < 4 && cols == 3136; ++b) expect(std::isnan(scale[0][b]), "quantize_q8 hides NaN of block ", b);
        for (size_t k = 0; k < size && cols < 3136; ++k)
            expect(std::abs(x[k] - scale[1][k / 32] * q[1][k]) <= 0.5001f * scale[1][k / 32] + 1e-30f,
                   "quantize_q8 value ", k, " is off by more than half a step");
    }
}

int64_t check_type(DType type, Isa isa, const KernelTable& table, const KernelTable& reference, std::mt19937& random) {
    std::vector<int64_t> widths{32, 64, 96, 480, 512, 544, 1056, 3136};
    if (dtype_info(type).block_size == 256) widths = {256, 512, 768, 2304};
    if (dtype_info(type).is_float) widths = {1, 7, 24, 33, 512, 1031, 3136};
    const std::vector<int64_t> counts[2] = {{1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 40, 131}};
    int64_t cases = 0;
    for (bool many : {false, true})
        for (bool is_float : {false, true})
            for (int64_t cols : widths)
                for (int64_t tokens : counts[many]) {
                    if (tokens > 100 && (is_float || cols < 2000)) continue;  // for kernels that take tokens in turns
                    const int64_t rows = cols > 1000 && tokens > 9 ? 33 : 1 + static_cast<int64_t>(random() % 70);
                    const Place place = random() % 2 ? Place::kBeforeGuard : Place::kAfterGuard;
                    Case c{type, isa, many, is_float, rows, cols, tokens, place, Scales::kRandom};
                    check_product(c, table, reference, random), ++cases;
                    if (is_float || dtype_info(type).is_float || cols > 512) continue;
                    for (Scales scales : {Scales::kUnit, Scales::kExtreme}) {
                        c.scales = scales;
                        check_product(c, table, reference, random), ++cases;
                    }
                }
    check_decode(type, isa, table, random);
    return cases;
}

}  // namespace
}  // namespace mambino::testing

int main(int argc, char** argv) {
    using namespace mambino;
    using namespace mambino::testing;
    const KernelTable reference = kernel_table(Isa::kReference);
    for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512}) {
        if (argc > 1 && std::string(argv[1]) != isa_name(isa)) continue;
        if (isa > best_isa()) {
            std::printf("%s: not on this machine\n", isa_name(isa));
            continue;
        }
        const KernelTable table = kernel_table(isa);
        std::mt19937 random(7);
        int64_t cases = 0;
        for (int type = 0; type < kNumDTypes; ++type)
            if (argc < 3 || std::string(argv[2]) == kDTypes[type].name)
                cases += check_type(static_cast<DType>(type), isa, table, reference, random);
        check_quantize(isa, table, random);
        std::printf("%s: %lld products, %d failures so far\n", isa_name(isa), static_cast<long long>(cases), failures);
    }
    return failures ? 1 : 0;
}
