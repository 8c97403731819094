// Speed of every kernel beside this core's own limits, each checked against its reference first. One JSON line a kernel.
//
// Usage: bench_kernels [isa [name]], name a weight type, scan, conv or attention. One thread, in processor time of that
// thread. Best and median of many short pieces in turns with the limit, so that a busy neighbour slows both.
// benchmarks/kernels.py makes a table of the output.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>

#include "base/aligned.h"
#include "kernels/ceiling/ceiling.h"
#include "random_product.h"

namespace mambino::testing {
namespace {

using Floats = std::vector<float>;

double now_s() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <class Work>
double seconds(const Work& work) {
    const double start = now_s();
    work();
    return now_s() - start;
}

volatile uint64_t sink;  // keeps the limits' loops from being optimised away

// More bytes than the caches hold, read a piece at a time so that no piece is still cached when its turn comes again.
constexpr int64_t kStreamBytes = int64_t{256} << 20, kPieceBytes = int64_t{4} << 20;

double read_giga(const uint8_t* bytes, int64_t i) {
    const auto* piece = reinterpret_cast<const uint64_t*>(bytes + (2 * i + 1) * kPieceBytes % kStreamBytes);
    return 1e-9 * kPieceBytes / seconds([&] { sink = read_words(piece, kPieceBytes / 8); });
}

double int8_tera(Isa isa) {
    constexpr int64_t kRounds = 20000;
    const bool is_wide = isa == Isa::kAvx512;
    const auto multiply = is_wide ? multiply_int8_avx512 : multiply_int8_avx2;
    const double elapsed = seconds([&] { sink = static_cast<uint64_t>(multiply(kRounds)); });
    return 1e-12 * static_cast<double>(kRounds * (is_wide ? kInt8OpsAvx512 : kInt8OpsAvx2)) / elapsed;
}

// One kernel: what it does in a piece, in units of 1e9 bytes or 1e12 operations, and the limit in the same unit.
struct Row {
    std::string op, type;
    Isa isa;
    int64_t tokens;
    const char* unit;
    double error;  // largest difference from the reference, over the largest value

    void measure(int repetitions, double amount, const std::function<void(int64_t)>& work, const std::function<double(int64_t)>& limit) const {
        std::vector<double> speeds;
        double most = 0;
        for (int64_t i = 0; i < repetitions; ++i) {
            most = std::max(most, limit(i));
            speeds.push_back(amount / seconds([&] { work(i); }));
        }
        std::sort(speeds.begin(), speeds.end());
        std::printf("{\"op\": \"%s\", \"type\": \"%s\", \"isa\": \"%s\", \"tokens\": %lld, \"unit\": \"%s\", \"best\": %.4f, \"median\": %.4f, "
                    "\"limit\": %.4f, \"error\": %.2e}\n",
                    op.c_str(), type.c_str(), isa_name(isa), static_cast<long long>(tokens), unit, speeds.back(), speeds[speeds.size() / 2], most,
                    error);
        std::fflush(stdout);
    }
};

double relative_error(const Floats& fast, const Floats& slow) {
    double largest = 1e-30, difference = 0;
    for (size_t i = 0; i < slow.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(slow[i])));
        difference = std::max(difference, std::abs(static_cast<double>(fast[i]) - slow[i]));
    }
    return difference / largest;
}

struct Product {
    DType type;
    Isa isa;
    uint8_t* bytes;
    KernelTable table = kernel_table(isa), reference = kernel_table(Isa::kReference);
    int64_t cols = dtype_info(type).block_size == 256 ? 7680 : 3136, nbytes = row_nbytes(type, cols);
    std::mt19937 random{1};

    Product(DType type, Isa isa, uint8_t* bytes) : type(type), isa(isa), bytes(bytes) {
        const int64_t rows = kStreamBytes / 64 / nbytes, filled = rows * nbytes;
        fill_weights(type, rows * cols, Scales::kRandom, random, bytes);
        for (int64_t at = filled; at + filled <= kStreamBytes; at += filled) std::memcpy(bytes + at, bytes, static_cast<size_t>(filled));
    }

    void measure(bool many, int64_t tokens) {
        const auto i = static_cast<size_t>(type);
        const Entry<MatmulKernel>&entry = many ? table.gemm[i] : table.gemv[i], &judge = many ? reference.gemm[i] : reference.gemv[i];
        RandomActivations activations(tokens, cols, Scales::kRandom, random);
        const Activations x = activations.packed_for(table, type);
        AlignedBuffer<uint8_t> scratch(gemm_scratch_nbytes(cols));
        const int64_t rows = kStreamBytes / nbytes, piece = many ? 512 : kPieceBytes / nbytes;
        const Matrix w{type, rows, cols, bytes};
        Floats fast(static_cast<size_t>(tokens * 64)), slow(fast);
        entry.run(w, 0, 64, x, fast.data(), 64, scratch.data());
        judge.run(w, 0, 64, x, slow.data(), 64, scratch.data());
        const Row row{many ? "gemm" : "gemv", dtype_info(type).name, entry.isa, tokens, many ? "TOPS" : "GB/s", relative_error(fast, slow)};

        Floats y(static_cast<size_t>((piece + 64) * tokens));
        const auto work = [&](int64_t at) {
            const int64_t begin = 2 * at % (rows / piece) * piece;
            const Matrix part{type, piece, cols, w.row(begin)};
            entry.run(part, 0, piece, x, y.data(), piece + 64, scratch.data());
        };
        if (many) row.measure(tokens > 100 ? 20 : 80, 2e-12 * static_cast<double>(piece * cols * tokens), work, [&](int64_t) { return int8_tera(entry.isa); });
        else row.measure(100, 1e-9 * static_cast<double>(piece * nbytes), work, [&](int64_t at) { return read_giga(bytes, at); });
    }
};

Floats random_floats(int64_t size, std::mt19937& random) {
    std::normal_distribution<float> normal;
    Floats values(static_cast<size_t>(size));
    for (float& value : values) value = normal(random);
    return values;
}

// The widths of Nemotron 3 Nano 4B: in_proj's rows, as the conv and the scan find them.
constexpr int64_t kHeads = 96, kHeadDim = 80, kStateSize = 128, kInner = kHeads * kHeadDim, kChannels = kInner + 2 * 8 * kStateSize;
constexpr int64_t kStride = kInner + kChannels + kHeads;

// Limit: vpdpbusd and float fused multiply-adds use the same ports, so a quarter of the int8 operations. AVX2: none is known.
void bench_scan(Isa isa, int64_t tokens) {
    std::mt19937 random(2);
    const KernelTable table = kernel_table(isa), reference = kernel_table(Isa::kReference);
    const Floats x = random_floats(tokens * kStride, random), dt(static_cast<size_t>(tokens * kHeads), 0.02f);
    Floats state = random_floats(kInner * kStateSize, random), y(static_cast<size_t>(tokens * kInner)), slow(y);
    const auto scan = [&](const KernelTable& kernels, int64_t heads, Floats& states, Floats& out) {
        for (int64_t h = 0; h < heads; ++h) {
            const float* b = x.data() + kInner + h / 12 * kStateSize;
            kernels.ssm_scan.run(x.data() + h * kHeadDim, kStride, dt.data() + h, kHeads, -1.5f, 0.5f, b, b + 8 * kStateSize, kStride, tokens, kHeadDim,
                                 kStateSize, states.data() + h * kHeadDim * kStateSize, out.data() + h * kHeadDim, kInner);
        }
    };
    Floats copy = state;
    scan(reference, 2, copy, slow);
    copy = state;
    scan(table, 2, copy, y);
    const Row row{"scan", "F32", table.ssm_scan.isa, tokens, "TOPS", relative_error(y, slow)};
    row.measure(20, 6e-12 * static_cast<double>(tokens * kInner * kStateSize), [&](int64_t) { scan(table, kHeads, state, y); },
                [&](int64_t) { return table.ssm_scan.isa == Isa::kAvx512 ? int8_tera(isa) / 4 : 0; });
}

void bench_conv(Isa isa, int64_t tokens, const uint8_t* bytes) {
    std::mt19937 random(3);
    const KernelTable table = kernel_table(isa), reference = kernel_table(Isa::kReference);
    const Floats x = random_floats(tokens * kStride, random), w = random_floats(kChannels * 4, random), bias = random_floats(kChannels, random);
    Floats past(static_cast<size_t>(3 * kChannels)), fast(static_cast<size_t>(tokens * kChannels)), slow(fast);
    const auto conv = [&](const KernelTable& kernels, Floats& out) {
        kernels.conv_silu.run(x.data(), kStride, tokens, w.data(), bias.data(), 4, kChannels, 0, kChannels, past.data(), out.data(), kChannels);
    };
    conv(reference, slow);
    std::fill(past.begin(), past.end(), 0.0f);
    conv(table, fast);
    const Row row{"conv", "F32", table.conv_silu.isa, tokens, "GB/s", relative_error(fast, slow)};
    row.measure(30, 8e-9 * static_cast<double>(tokens * kChannels), [&](int64_t) { conv(table, fast); }, [&](int64_t i) { return read_giga(bytes, i); });
}

// One new token of one kv head, 5 query heads of 128, float16 keys and values.
void bench_attention(Isa isa, int64_t depth, const uint8_t* bytes) {
    std::mt19937 random(4);
    const KernelTable table = kernel_table(isa), reference = kernel_table(Isa::kReference);
    constexpr int64_t kGroup = 5, kDim = 128;
    const Floats q = random_floats(kGroup * kDim, random), values = random_floats(2 * depth * kDim, random);
    std::vector<uint16_t> cache(values.size());
    table.to_float16.run(values.data(), static_cast<int64_t>(values.size()), cache.data());
    Floats fast(kGroup * kDim), slow(fast);
    constexpr int64_t kPageNbytes = 2 * kPageTokens * kDim * 2;
    std::vector<const uint8_t*> pages;
    for (int64_t first = 0; first < depth; first += kPageTokens)
        pages.push_back(reinterpret_cast<const uint8_t*>(cache.data()) + first / kPageTokens * kPageNbytes);
    const CachedHead<uint16_t> head{pages.data(), 0, kDim * kKeyBlock, kPageNbytes / 2, kDim};
    AlignedBuffer<float> scratch(attention_scratch_floats(kDim));
    const auto attend = [&](const KernelTable& kernels, Floats& out) {
        kernels.attention.run(q.data(), kGroup * kDim, head, depth - 1, 1, kGroup, kDim, 0.088f, out.data(), kGroup * kDim, scratch.data());
    };
    attend(reference, slow), attend(table, fast);
    const Row row{"attention", "F16", table.attention.isa, 1, "GB/s", relative_error(fast, slow)};
    row.measure(30, 4e-9 * static_cast<double>(depth * kDim), [&](int64_t) { attend(table, fast); }, [&](int64_t i) { return read_giga(bytes, i); });
}

void bench_isa(Isa isa, const std::string& wanted, uint8_t* bytes) {
    const auto is_wanted = [&](const char* name) { return wanted.empty() || wanted == name; };
    for (int type = 0; type < kNumDTypes; ++type) {
        if (!is_wanted(kDTypes[type].name) || kDTypes[type].is_float) continue;
        Product product(static_cast<DType>(type), isa, bytes);
        for (int64_t tokens : {1, 2, 4}) product.measure(false, tokens);
        for (int64_t tokens : {8, 25, 512}) product.measure(true, tokens);
    }
    for (int64_t tokens : {25, 512}) {
        if (is_wanted("scan")) bench_scan(isa, tokens);
        if (is_wanted("conv")) bench_conv(isa, tokens, bytes);
    }
    if (is_wanted("attention")) bench_attention(isa, 8192, bytes);
}

}  // namespace
}  // namespace mambino::testing

int main(int argc, char** argv) {
    using namespace mambino;
    using namespace mambino::testing;
    AlignedBuffer<uint8_t> bytes(kStreamBytes);
    std::memset(bytes.data(), 1, kStreamBytes);
    for (Isa isa : {Isa::kAvx512, Isa::kAvx2})
        if (isa <= best_isa() && (argc < 2 || std::string(argv[1]) == isa_name(isa))) bench_isa(isa, argc < 3 ? "" : argv[2], bytes.data());
    return 0;
}
