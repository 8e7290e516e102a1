// One tile of a packed matrix at a time, for pack.cpp.
#pragma once
#include <mutex>

#include "offline.h"

namespace layerwise {
namespace offline {

/** The problem of least index that any thread found. */
class FirstProblem {
 public:
  void note(const char* problem, int64_t index);
  PackProblem found() const { return found_; }

 private:
  std::mutex mutex_;
  PackProblem found_ = {nullptr, -1};
};

/** The rows of one tile. */
struct TileRows {
  int64_t first;
  int64_t count;
};

/** Bits of the widest plane that holds no more than so many. */
constexpr int planeBits(int bits) { return bits >= 8 ? 8 : bits >= 4 ? 4 : bits >= 2 ? 2 : 1; }

/** Packs a chunk of a sparse kind, from column `col` on; returns the end. */
uint8_t* writeSparseChunk(const PackCall& call, TileRows rows, int64_t col, uint8_t* out, FirstProblem* problem);

/** Packs one tile of `stride` bytes of an integer kind. */
void packIntegerTile(const PackCall& call, int64_t tile, int64_t stride, uint8_t* out, FirstProblem* problem);

/** Packs one tile of a float kind; `columns` has room for [cols][16] floats. */
void packFloatTile(const DeviceKernels& kernels, const PackCall& call, int64_t tile, int64_t stride, uint8_t* out,
                   float* columns, FirstProblem* problem);

}  // namespace offline
}  // namespace layerwise
