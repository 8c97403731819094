// Conv, scan, attention and elementwise kernels of every instruction set against their reference: ragged sizes, cuts, states.
//
// Prints what it checked; exit code 1 and one line a failure otherwise.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "base/aligned.h"
#include "base/check.h"
#include "base/fp16.h"
#include "kernels/table.h"

namespace mambino::testing {
namespace {

using Floats = std::vector<float>;

int failures = 0, checks = 0;

// Vector paths differ from the reference by the order of float32 sums and by exp (2 ulp): both grow with the magnitudes.
void expect_close(const Floats& fast, const Floats& slow, double tolerance, const std::string& what) {
    ++checks;
    double scale = 1.0;
    for (const float value : slow) scale = std::max(scale, std::abs(static_cast<double>(value)));
    for (size_t i = 0; i < slow.size(); ++i) {
        if (std::abs(static_cast<double>(fast[i]) - slow[i]) <= tolerance * scale) continue;
        if (++failures <= 40) std::fprintf(stderr, "FAILED %s: at %zu got %g, expected %g\n", what.c_str(), i, fast[i], slow[i]);
        return;
    }
}

Floats random_floats(size_t size, std::mt19937& random, float scale = 1.0f) {
    std::normal_distribution<float> normal;
    Floats values(size);
    for (float& value : values) value = scale * normal(random);
    return values;
}

void test_elementwise(const KernelTable& fast, const KernelTable& slow, const std::string& isa, std::mt19937& random) {
    for (const int64_t cols : {1, 7, 8, 15, 16, 17, 64, 65, 100, 960, 3136}) {
        const Floats x = random_floats(cols, random, 3.0f), y = random_floats(cols, random, 3.0f), w = random_floats(cols, random);
        const auto both = [&](const char* op, double tolerance, const std::function<void(const KernelTable&, Floats&)>& run) {
            Floats a = x, b = x;
            run(fast, a), run(slow, b);
            expect_close(a, b, tolerance, concat(op, " ", isa, " cols ", cols));
        };
        both("rms_norm", 1e-6, [&](const KernelTable& t, Floats& out) { t.rms_norm.run(x.data(), w.data(), cols, 1e-5f, out.data()); });
        both("relu2", 0, [&](const KernelTable& t, Floats& out) { t.relu2.run(out.data(), cols); });
        both("swiglu", 1e-6, [&](const KernelTable& t, Floats& out) { t.swiglu.run(out.data(), y.data(), cols); });
        both("add", 0, [&](const KernelTable& t, Floats& out) { t.add.run(out.data(), y.data(), cols); });
        for (const int64_t count : {1, 3})
            both("add_rows", 1e-6, [&](const KernelTable& t, Floats& out) {
                t.add_rows.run(out.data(), w.data(), y.data(), cols / count, count, cols / count);
            });
        for (const int64_t group : {cols, cols % 5 ? cols : cols / 5})
            both("gated_group_norm", 2e-6, [&](const KernelTable& t, Floats& out) {
                t.gated_group_norm.run(x.data(), y.data(), w.data(), cols, group, 1e-5f, out.data());
            });
        std::vector<uint16_t> a(cols), b(cols);
        fast.to_float16.run(x.data(), cols, a.data()), slow.to_float16.run(x.data(), cols, b.data());
        expect_close(Floats(a.begin(), a.end()), Floats(b.begin(), b.end()), 0, concat("to_float16 ", isa, " cols ", cols));
    }
    const Floats extremes = {-1e4f, -90.0f, -87.5f, -20.0f, -1e-8f, 0.0f, 1e-8f, 20.0f, 87.9f, 88.5f, 1e4f, 1e30f, -1e30f, 1.0f, 2.0f, 3.0f};
    Floats a = extremes, b = extremes;
    const Floats ones(extremes.size(), 1.0f);
    fast.swiglu.run(a.data(), ones.data(), static_cast<int64_t>(a.size())), slow.swiglu.run(b.data(), ones.data(), static_cast<int64_t>(b.size()));
    expect_close(a, b, 1e-6, concat("swiglu ", isa, " extremes"));
}

void test_conv(const KernelTable& fast, const KernelTable& slow, const std::string& isa, std::mt19937& random) {
    for (const int64_t width : {1, 2, 4, 9})
        for (const int64_t channels : {5, 16, 39})
            for (const int64_t tokens : {1, 2, 3, 17}) {
                const int64_t stride = channels + 4;
                const Floats x = random_floats(tokens * stride, random), w = random_floats(channels * width, random),
                             bias = random_floats(channels, random), past = random_floats((width - 1) * channels + 1, random);
                const auto run = [&](const KernelTable& table, int64_t cut) {
                    Floats out = x, state = past;  // in place, and cut in two calls
                    for (const auto& [begin, count] : {std::pair{int64_t{0}, cut}, std::pair{cut, tokens - cut}})
                        if (count) table.conv_silu.run(out.data() + begin * stride, stride, count, w.data(), bias.data(), width, channels, 1,
                                                       channels, state.data(), out.data() + begin * stride, stride);
                    out.insert(out.end(), state.begin(), state.end());
                    return out;
                };
                const std::string what = concat("conv_silu ", isa, " width ", width, " channels ", channels, " tokens ", tokens);
                expect_close(run(fast, tokens), run(slow, tokens), 2e-6, what);
                expect_close(run(fast, tokens / 2), run(fast, tokens), 0, what + " cut");
            }
}

void test_scan(const KernelTable& fast, const KernelTable& slow, const std::string& isa, std::mt19937& random) {
    for (const int64_t state_size : {1, 8, 16, 24, 48, 128, 144})
        for (const int64_t head_dim : {1, 5, 80})
            for (const int64_t tokens : {1, 2, 63, 64, 65, 130}) {
                const int64_t stride = head_dim + 2 * state_size + 3;
                const Floats x = random_floats(tokens * stride, random), past = random_floats(head_dim * state_size, random);
                Floats dt = random_floats(tokens, random);
                for (float& step : dt) step = std::abs(step) * 0.3f;
                const auto run = [&](const KernelTable& table, int64_t cut) {
                    Floats y(tokens * head_dim), state = past;
                    for (const auto& [begin, count] : {std::pair{int64_t{0}, cut}, std::pair{cut, tokens - cut}}) {
                        const float* row = x.data() + begin * stride;
                        if (count) table.ssm_scan.run(row, stride, dt.data() + begin, 1, -2.5f, 0.7f, row + head_dim, row + head_dim + state_size,
                                                      stride, count, head_dim, state_size, state.data(), y.data() + begin * head_dim, head_dim);
                    }
                    y.insert(y.end(), state.begin(), state.end());
                    return y;
                };
                const std::string what = concat("ssm_scan ", isa, " state ", state_size, " head ", head_dim, " tokens ", tokens);
                expect_close(run(fast, tokens), run(slow, tokens), 3e-6, what);
                expect_close(run(fast, tokens / 2), run(fast, tokens), 0, what + " cut");
            }
}

// Keys [blocks][...][kKeyBlock] and values [context][...] of one head as a cache holds them: each page its keys, then its values.
template <class Element>
class Paged {
  public:
    Paged(const std::vector<Element>& keys, const std::vector<Element>& values, int64_t stride) : stride_(stride) {
        const auto count = static_cast<int64_t>(values.size()) / stride;
        for (int64_t first = 0; first < count; first += kPageTokens) {
            std::vector<Element>& page = pages_.emplace_back(2 * kPageTokens * stride);
            const auto copy = [&](const std::vector<Element>& all, int64_t to) {
                const auto size = std::min<int64_t>(kPageTokens * stride, static_cast<int64_t>(all.size()) - first * stride);
                std::copy_n(all.begin() + first * stride, size, page.begin() + to);
            };
            copy(keys, 0), copy(values, kPageTokens * stride);
            pointers_.push_back(reinterpret_cast<const uint8_t*>(page.data()));
        }
    }

    CachedHead<Element> head() const {
        return {pointers_.data(), 0, stride_ * kKeyBlock, kPageTokens * stride_ * static_cast<int64_t>(sizeof(Element)), stride_};
    }

  private:
    int64_t stride_;
    std::vector<std::vector<Element>> pages_;
    std::vector<const uint8_t*> pointers_;
};

template <class Element>
void test_attention(AttentionKernel<Element> fast, AttentionKernel<Element> slow, const std::string& isa, std::mt19937& random) {
    for (const int64_t head_dim : {8, 24, 64, 128})
        for (const int64_t group : {1, 3, 5})
            for (const int64_t position : {0, 1, 15, 63, 64, 250, 600})
                for (const int64_t tokens : {1, 2, 7, 25}) {
                    const int64_t context = position + tokens, blocks = (context + kKeyBlock - 1) / kKeyBlock, kv_stride = head_dim + 8;
                    const int64_t q_stride = group * head_dim + 5;
                    const Floats q = random_floats(tokens * q_stride, random, 2.0f);
                    const Floats k = random_floats(blocks * kv_stride * kKeyBlock, random), v = random_floats(context * kv_stride, random);
                    std::vector<Element> keys(k.size()), values(v.size());
                    for (size_t i = 0; i < k.size(); ++i) keys[i] = sizeof(Element) == 2 ? float_to_fp16(k[i]) : static_cast<Element>(k[i]);
                    for (size_t i = 0; i < v.size(); ++i) values[i] = sizeof(Element) == 2 ? float_to_fp16(v[i]) : static_cast<Element>(v[i]);
                    // what lies past the context must not matter, not even as NaN
                    for (int64_t e = 0; e < kv_stride; ++e)
                        for (int64_t lane = context % kKeyBlock; lane && lane < kKeyBlock; ++lane)
                            keys[(blocks - 1) * kv_stride * kKeyBlock + e * kKeyBlock + lane] =
                                sizeof(Element) == 2 ? static_cast<Element>(0x7e00) : static_cast<Element>(NAN);
                    const Paged<Element> cache(keys, values, kv_stride);
                    AlignedBuffer<float> scratch(attention_scratch_floats(head_dim));
                    const auto run = [&](AttentionKernel<Element> kernel) {
                        Floats out(tokens * q_stride);
                        kernel(q.data(), q_stride, cache.head(), position, tokens, group, head_dim, 0.3f, out.data(), q_stride, scratch.data());
                        return out;
                    };
                    expect_close(run(fast), run(slow), 1e-5,
                                 concat("attention ", isa, " element ", sizeof(Element), " head ", head_dim, " group ", group, " position ", position,
                                        " tokens ", tokens));
                }
}

// q8: the cache is made of random codes and scales, so that the kernels alone are compared.
void test_attention_q8(AttentionKernel<int8_t> fast, AttentionKernel<int8_t> slow, const std::string& isa, std::mt19937& random) {
    std::uniform_int_distribution<int> code(-127, 127);
    for (const int64_t head_dim : {8, 24, 64, 128})
        for (const int64_t position : {0, 15, 64, 250})
            for (const int64_t tokens : {1, 7}) {
                constexpr int64_t kGroup = 3;
                const int64_t nbytes = kv_head_nbytes(KvType::kQ8, head_dim), context = position + tokens;
                const int64_t blocks = (context + kKeyBlock - 1) / kKeyBlock;
                const Floats q = random_floats(tokens * kGroup * head_dim, random);
                std::vector<int8_t> keys(blocks * nbytes * kKeyBlock), values(context * nbytes);
                for (int8_t& one : keys) one = static_cast<int8_t>(code(random));
                for (int8_t& one : values) one = static_cast<int8_t>(code(random));
                const uint16_t scale = float_to_fp16(0.011f);
                const auto set_scales = [&](int8_t* scales, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) std::memcpy(scales + 2 * i, &scale, 2);
                };
                for (int64_t b = 0; b < blocks; ++b)
                    set_scales(&keys[b * nbytes * kKeyBlock + head_dim * kKeyBlock], kv_groups(head_dim) * kKeyBlock);
                for (int64_t t = 0; t < context; ++t) set_scales(&values[t * nbytes + head_dim], kv_groups(head_dim));
                const Paged<int8_t> cache(keys, values, nbytes);
                AlignedBuffer<float> scratch(attention_scratch_floats(head_dim));
                const auto run = [&](AttentionKernel<int8_t> kernel) {
                    Floats out(q.size());
                    kernel(q.data(), kGroup * head_dim, cache.head(), position, tokens, kGroup, head_dim, 0.3f, out.data(), kGroup * head_dim,
                           scratch.data());
                    return out;
                };
                expect_close(run(fast), run(slow), 1e-5, concat("attention q8 ", isa, " head ", head_dim, " position ", position, " tokens ", tokens));
            }
}

void test_isa(Isa isa) {
    const KernelTable fast = kernel_table(isa), slow = kernel_table(Isa::kReference);
    std::mt19937 random(7);
    const std::string name = isa_name(isa);
    test_elementwise(fast, slow, name, random);
    test_conv(fast, slow, name, random);
    test_scan(fast, slow, name, random);
    // float32 dots of up to 128 terms, of magnitude 40, go through exp: 1e-5 rather than 2e-6
    test_attention<uint16_t>(fast.attention.run, slow.attention.run, name, random);
    test_attention_q8(fast.attention_q8.run, slow.attention_q8.run, name, random);
    test_attention<float>(fast.attention_float.run, slow.attention_float.run, name, random);
}

}  // namespace
}  // namespace mambino::testing

int main() {
    using namespace mambino;
    using namespace mambino::testing;
    for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
        if (isa > best_isa()) std::printf("SKIPPED %s: this machine lacks it\n", isa_name(isa));
        else test_isa(isa);
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
