// A growable float/int buffer aligned to cache lines, uninitialised on growth: scratch memory for kernels.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace mambino {

template <class T>
class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t size) { reserve(size); }

    // Room for at least size elements; contents are not kept when it grows.
    T* reserve(size_t size) {
        if (size > capacity_) {
            const size_t nbytes = (size * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
            data_.reset(static_cast<T*>(std::aligned_alloc(kAlignment, nbytes)));
            if (!data_) throw std::bad_alloc();
            capacity_ = size;
        }
        return data_.get();
    }

    T* data() { return data_.get(); }
    const T* data() const { return data_.get(); }
    size_t nbytes() const { return capacity_ * sizeof(T); }

  private:
    static constexpr size_t kAlignment = 64;
    struct Free {
        void operator()(T* pointer) const { std::free(pointer); }
    };
    std::unique_ptr<T, Free> data_;
    size_t capacity_ = 0;
};

}  // namespace mambino
