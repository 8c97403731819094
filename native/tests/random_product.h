// Random weights of any type and random activations for tests and benchmarks of the matrix products.
//
// Weights can lie flush against an unreadable page on either side, so that a kernel which reads outside them crashes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/check.h"
#include "base/fp16.h"
#include "kernels/table.h"

namespace mambino::testing {

enum class Place { kBeforeGuard, kAfterGuard };

// Readable bytes between two unreadable pages, touching the one that place names.
class GuardedBytes {
  public:
    GuardedBytes(size_t size, Place place) {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t room = (size + page - 1) / page * page;
        mapped_ = room + 2 * page;
        map_ = static_cast<uint8_t*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        check(map_ != MAP_FAILED, "[test] mmap of ", mapped_, " bytes failed");
        mprotect(map_, page, PROT_NONE);
        mprotect(map_ + page + room, page, PROT_NONE);
        data_ = place == Place::kAfterGuard ? map_ + page : map_ + page + room - size;
    }
    ~GuardedBytes() { munmap(map_, mapped_); }
    GuardedBytes(const GuardedBytes&) = delete;
    GuardedBytes& operator=(const GuardedBytes&) = delete;
    uint8_t* data() { return data_; }

  private:
    uint8_t* map_;
    uint8_t* data_;
    size_t mapped_;
};

// kRandom: float16 scales near 0.01. kUnit: scales that make every partial sum of a short row an exact float. kExtreme:
// the same with the largest 8-bit products that exist, of one sign, so that any 16-bit sum which can overflow does.
enum class Scales { kRandom, kUnit, kExtreme };

inline void set_half(uint8_t* at, float value) {
    const uint16_t bits = float_to_fp16(value);
    std::memcpy(at, &bits, 2);
}

inline void fill_weights(DType type, int64_t values, Scales scales, std::mt19937& random, uint8_t* out) {
    const DTypeInfo& info = dtype_info(type);
    std::normal_distribution<float> normal;
    if (info.is_float) {
        for (int64_t i = 0; i < values; ++i) {
            const float value = normal(random);
            const auto bits = std::bit_cast<uint32_t>(value);
            const uint16_t half = type == DType::kF16 ? float_to_fp16(value) : static_cast<uint16_t>(bits >> 16);
            if (type == DType::kF32) std::memcpy(out + 4 * i, &bits, 4);
            else std::memcpy(out + 2 * i, &half, 2);
        }
        return;
    }
    const int64_t blocks = values / info.block_size;
    constexpr uint8_t kExtremes[] = {0xff, 0x80, 0x7f, 0x00};
    for (int64_t i = 0; i < blocks * info.block_nbytes; ++i)
        out[i] = scales == Scales::kExtreme ? kExtremes[i / info.block_nbytes % 4] : static_cast<uint8_t>(random());
    const auto scale = [&] { return scales != Scales::kRandom ? 1.0f : 0.01f * (1 + std::abs(normal(random))); };
    for (int64_t b = 0; b < blocks; ++b, out += info.block_nbytes) {
        set_half(type == DType::kQ6_K ? out + 208 : out, scale());
        if (type == DType::kQ4_1 || type == DType::kQ5_1) set_half(out + 2, -8 * scale());
        if (type == DType::kQ4_K || type == DType::kQ5_K) set_half(out + 2, scale());
        if (scales != Scales::kRandom && info.block_size == 256) {  // sub-block scales small enough for exact sums
            if (type == DType::kQ6_K) for (int j = 0; j < 16; ++j) out[192 + j] = static_cast<uint8_t>(j % 5 - 2);
            else for (int j = 0; j < 12; ++j) out[4 + j] = static_cast<uint8_t>(j < 8 ? out[4 + j] & 3 : out[4 + j] & 0x33);
        }
    }
}

struct RandomActivations {
    std::vector<float> values, scale;
    std::vector<int8_t> q8;
    std::vector<int32_t> sum16;
    std::vector<uint8_t> packed;
    int64_t tokens, cols;

    RandomActivations(int64_t tokens, int64_t cols, Scales scales, std::mt19937& random)
        : values(static_cast<size_t>(tokens * cols)), scale(values.size() / 32 + 1), q8(values.size()),
          sum16(values.size() / 16 + 2), tokens(tokens), cols(cols) {
        std::normal_distribution<float> normal;
        for (float& value : values) value = normal(random);
        const KernelTable table = kernel_table(Isa::kReference);
        for (int64_t t = 0; t < tokens && cols % 32 == 0; ++t)
            table.quantize_q8.run(&values[static_cast<size_t>(t * cols)], cols, &q8[static_cast<size_t>(t * cols)],
                                  &scale[static_cast<size_t>(t * cols / 32)], &sum16[static_cast<size_t>(t * cols / 16)]);
        if (scales != Scales::kRandom) scale.assign(scale.size(), 1.0f);
        if (scales != Scales::kExtreme) return;
        for (size_t i = 0; i < q8.size(); ++i) q8[i] = static_cast<int8_t>(static_cast<int64_t>(i) / cols % 2 ? -127 : 127);
        for (size_t i = 0; i < q8.size() / 16; ++i) sum16[i] = 16 * q8[16 * i];
    }

    Activations view() const {
        return {tokens, cols, values.data(), cols, q8.data(), scale.data(), sum16.data()};
    }
    // With what products of this type need of table.
    Activations packed_for(const KernelTable& table, DType type) {
        Activations x = view();
        const auto pack = table.pack[static_cast<size_t>(type)].run;
        if (!pack) return x;
        packed.resize(static_cast<size_t>(packed_nbytes(tokens, cols)));
        pack(x, 0, token_tiles(tokens), packed.data());
        x.packed = packed.data();
        return x;
    }
};

}  // namespace mambino::testing
