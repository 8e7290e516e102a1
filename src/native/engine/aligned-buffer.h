// Scratch of single calls: uninitialised numbers from a multiple of 64 bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace layerwise {

template <class T>
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t count) : bytes_(new uint8_t[count * sizeof(T) + 63]) {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.get());
    data_ = reinterpret_cast<T*>(bytes_.get() + ((64 - address % 64) % 64));
  }
  T* data() { return data_; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  T* data_;
};

}  // namespace layerwise
