// Where pages of keys and values lie: pieces of slabs, so that many pages share one of the processor's large memory
// pages.
#pragma once
#include <cstdint>
#include <memory>

namespace layerwise {

/**
 * Memory for the pages of all caches of a model. Pages of one size are pieces of common slabs, in the order in which
 * they are taken; a piece that nobody holds is given out again, and a slab without pieces in use goes back to the
 * system.
 *
 * A slab becomes large pages (2 MiB, Linux) once all of its pieces were in use, not before: until then it takes no more
 * memory than its pieces, so that a short context costs what it holds, and a long one is found through a few dozen
 * entries of the processor's address table instead of thousands.
 *
 * Thread-safe: pieces may be taken and let go by several threads at once. Pieces outlive it.
 */
class PageMemory {
 public:
  PageMemory();
  /** `bytes` zeros, 64-byte aligned; a multiple of 64. Throws std::bad_alloc. */
  std::shared_ptr<uint8_t> take(int64_t bytes) const;
  /** Bytes of slabs, used or not. */
  int64_t slabBytes() const;

 private:
  class State;
  /** Held by every piece too. */
  std::shared_ptr<State> state_;
};

}  // namespace layerwise
