// Panels: what the tile kernels read. A panel holds a few rows (or columns) of an operand, depth by depth, zero-padded.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace layerwise {
namespace offline {

/** Rows of gemmTile's and subtractTile's first operand, columns of their second. */
constexpr int kTileHeight = 6;
constexpr int kFloatWidth = 16;
constexpr int kDoubleWidth = 8;

/** Columns or rows of a matrix: element (lane, depth) at data[lane * laneStep + depth * depthStep]. */
template <class T>
struct Strided {
  const T* data;
  int64_t laneStep;
  int64_t depthStep;

  Strided at(int64_t lane, int64_t depth) const {
    return {data + lane * laneStep + depth * depthStep, laneStep, depthStep};
  }
};

/** Lanes [0, lanes) of depths [0, depth) as [depth][WIDTH]. */
template <int WIDTH, class T>
void packPanel(const Strided<T>& from, int64_t lanes, int64_t depth, T* out) {
  if (lanes == WIDTH && from.laneStep == 1) {
    for (int64_t d = 0; d < depth; d++, out += WIDTH) {
      const T* row = from.data + d * from.depthStep;
      for (int i = 0; i < WIDTH; i++) out[i] = row[i];
    }
  } else if (lanes == WIDTH) {
    for (int64_t d = 0; d < depth; d++, out += WIDTH) {
      const T* column = from.data + d * from.depthStep;
      for (int i = 0; i < WIDTH; i++) out[i] = column[i * from.laneStep];
    }
  } else {
    for (int64_t d = 0; d < depth; d++, out += WIDTH) {
      const T* column = from.data + d * from.depthStep;
      for (int i = 0; i < WIDTH; i++) out[i] = i < lanes ? column[i * from.laneStep] : T(0);
    }
  }
}

/** Memory aligned for vector loads, not initialised. */
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) {
    const int64_t bytes = (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    // One line more than needed: aligned by hand, since not every C library has aligned_alloc.
    block_.reset(static_cast<char*>(std::malloc(static_cast<size_t>(bytes + 64))));
    if (!block_) throw std::bad_alloc();
    const uintptr_t address = reinterpret_cast<uintptr_t>(block_.get());
    data_ = reinterpret_cast<T*>(block_.get() + (64 - address % 64));
  }

  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> block_;
  T* data_;
};

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace offline
}  // namespace layerwise
