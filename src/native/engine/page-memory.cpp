// Slabs of pieces of one size each.
#include "page-memory.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "slab-memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace layerwise {

namespace {

// AddressSanitizer does not know pieces: it is told which may be used, and each is followed by bytes that may not.
#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t kGuardBytes = 64;
void allow(const uint8_t* data, int64_t bytes) { ASAN_UNPOISON_MEMORY_REGION(data, static_cast<size_t>(bytes)); }
void forbid(const uint8_t* data, int64_t bytes) { ASAN_POISON_MEMORY_REGION(data, static_cast<size_t>(bytes)); }
#else
constexpr int64_t kGuardBytes = 0;
void allow(const uint8_t*, int64_t) {}
void forbid(const uint8_t*, int64_t) {}
#endif

/** A slab's last pieces may leave one byte in so many unused. */
constexpr int64_t kUnusedShare = 128;
/** Where no slab of so many large pages is used that well, the best of them is taken. */
constexpr int64_t kMostLargePages = 16;

int64_t slabBytesFor(int64_t pieceBytes) {
  const int64_t least = (pieceBytes + kLargePageBytes - 1) / kLargePageBytes;
  double leastUnused = 1;
  int64_t best = 0;
  for (int64_t pages = least; pages < least + kMostLargePages; pages++) {
    const int64_t bytes = pages * kLargePageBytes;
    const double unused = static_cast<double>(bytes % pieceBytes) / static_cast<double>(bytes);
    if (unused * kUnusedShare <= 1) return bytes;
    if (unused >= leastUnused) continue;
    leastUnused = unused;
    best = bytes;
  }
  return best;
}

struct Slab {
  explicit Slab(int64_t pieceBytes)
      : stride(pieceBytes + kGuardBytes), bytes(slabBytesFor(stride)), pieces(bytes / stride) {
    free.reserve(static_cast<size_t>(pieces));
    data = takeSlab(bytes);
    forbid(data, bytes);
  }
  Slab(const Slab&) = delete;
  ~Slab() {
    allow(data, bytes);
    returnSlab(data, bytes);
  }

  const int64_t stride, bytes, pieces;
  uint8_t* data = nullptr;
  int64_t inUse = 0;
  /** Pieces from here on were never in use. */
  int64_t fresh = 0;
  /** Pieces that were let go. Has room for all of them: letting go never allocates. */
  std::vector<int64_t> free;
};

/** Slabs with pieces to give, and slabs without. */
struct SlabsOfSize {
  std::list<Slab> open, full;
};

}  // namespace

class PageMemory::State : public std::enable_shared_from_this<State> {
 public:
  std::shared_ptr<uint8_t> take(int64_t bytes);
  int64_t slabBytes();

 private:
  /** A piece, and the slab that it ended: the first time that all of its pieces are in use. */
  struct Taken {
    uint8_t* data;
    std::list<Slab>::iterator slab;
    SlabsOfSize* slabs;
    bool ended;
  };
  Taken takePiece(int64_t bytes);
  void letGo(const Taken& taken, int64_t bytes) noexcept;

  std::mutex mutex_;
  std::map<int64_t, SlabsOfSize> slabsOfSize_;
};

PageMemory::State::Taken PageMemory::State::takePiece(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  SlabsOfSize& slabs = slabsOfSize_[bytes];
  if (slabs.open.empty()) slabs.open.emplace_back(bytes);
  const auto slab = slabs.open.begin();
  const bool recycled = !slab->free.empty();
  const int64_t piece = recycled ? slab->free.back() : slab->fresh++;
  if (recycled) slab->free.pop_back();
  slab->inUse++;
  if (slab->inUse == slab->pieces) slabs.full.splice(slabs.full.begin(), slabs.open, slab);
  return {slab->data + piece * slab->stride, slab, &slabs, !recycled && slab->fresh == slab->pieces};
}

void PageMemory::State::letGo(const Taken& taken, int64_t bytes) noexcept {
  std::list<Slab> emptied;
  const std::lock_guard<std::mutex> lock(mutex_);
  Slab& slab = *taken.slab;
  // In front: the slab that grows is filled last, so that it may end up unused.
  if (slab.inUse == slab.pieces) taken.slabs->open.splice(taken.slabs->open.begin(), taken.slabs->full, taken.slab);
  slab.free.push_back((taken.data - slab.data) / slab.stride);
  forbid(taken.data, bytes);
  slab.inUse--;
  if (slab.inUse == 0) emptied.splice(emptied.begin(), taken.slabs->open, taken.slab);
}

std::shared_ptr<uint8_t> PageMemory::State::take(int64_t bytes) {
  const Taken taken = takePiece(bytes);
  std::shared_ptr<uint8_t> piece(taken.data,
                                 [self = shared_from_this(), taken, bytes](uint8_t*) { self->letGo(taken, bytes); });
  allow(taken.data, bytes);
  memset(taken.data, 0, static_cast<size_t>(bytes));
  if (taken.ended) useLargePages(taken.slab->data, taken.slab->bytes);
  return piece;
}

int64_t PageMemory::State::slabBytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  int64_t sum = 0;
  for (const auto& [size, slabs] : slabsOfSize_) {
    for (const Slab& slab : slabs.open) sum += slab.bytes;
    for (const Slab& slab : slabs.full) sum += slab.bytes;
  }
  return sum;
}

PageMemory::PageMemory() : state_(std::make_shared<State>()) {}

std::shared_ptr<uint8_t> PageMemory::take(int64_t bytes) const { return state_->take(std::max<int64_t>(bytes, 64)); }

int64_t PageMemory::slabBytes() const { return state_->slabBytes(); }

}  // namespace layerwise
