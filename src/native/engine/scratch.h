// Scratch that grows when a pass needs more than any before it, and is kept: none is allocated in the token loop.
#pragma once
#include <cstdint>
#include <new>

namespace layerwise {

/** An array of numbers, aligned to 64 bytes; what it held is lost when it grows. */
template <class T>
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch(Scratch&& other) noexcept : data_(other.data_), count_(other.count_) {
    other.data_ = nullptr;
    other.count_ = 0;
  }
  ~Scratch() { free(); }

  /** Makes room for `count` numbers. Throws std::bad_alloc and is then empty. */
  void reserve(int64_t count) {
    if (count <= count_) return;
    free();
    data_ = static_cast<T*>(::operator new(static_cast<size_t>(count) * sizeof(T), kAlign));
    count_ = count;
  }

  T* data() const { return data_; }
  int64_t bytes() const { return count_ * static_cast<int64_t>(sizeof(T)); }

 private:
  static constexpr std::align_val_t kAlign{64};

  void free() {
    ::operator delete(data_, kAlign);
    data_ = nullptr;
    count_ = 0;
  }

  T* data_ = nullptr;
  int64_t count_ = 0;
};

/** Floats of a row so that the next one begins at a cache line: threads that write different tiles then share none. */
inline int64_t paddedCols(int64_t cols) { return (cols + 15) / 16 * 16; }

}  // namespace layerwise
