// Pieces of slabs: alone, zeroed, recycled, given back; by one thread and by several.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "../../../src/native/engine/page-memory.h"
#include "../../../src/native/engine/slab-memory.h"

namespace {

using layerwise::kLargePageBytes;
using layerwise::PageMemory;
using Piece = std::shared_ptr<uint8_t>;

int broken = 0;

void expect(bool kept, const char* promise) {
  if (kept) return;
  broken++;
  std::printf("broken: %s\n", promise);
}

bool holdsOnly(const uint8_t* data, int64_t bytes, uint8_t value) {
  return std::all_of(data, data + bytes, [&](uint8_t byte) { return byte == value; });
}

/** What SmolLM2's pages take in f16 and q8, a page larger than a large page, and one of which few fit a slab. */
constexpr int64_t kSizes[] = {64, 26112, 49152, (int64_t{1} << 20) + 64, 3 * kLargePageBytes + 64};

void checkPieces(int64_t bytes) {
  const PageMemory memory;
  std::vector<Piece> pieces;
  // More than one slab's, few enough for a test.
  const int64_t count = std::min<int64_t>(200, 3 * kLargePageBytes / bytes + 3);
  for (int64_t i = 0; i < count; i++) {
    pieces.push_back(memory.take(bytes));
    expect(reinterpret_cast<uintptr_t>(pieces.back().get()) % 64 == 0, "a piece begins at a multiple of 64");
    expect(holdsOnly(pieces.back().get(), bytes, 0), "a new piece is zero");
    memset(pieces.back().get(), static_cast<int>(i % 255 + 1), static_cast<size_t>(bytes));
  }
  for (int64_t i = 0; i < count; i++) {
    expect(holdsOnly(pieces[static_cast<size_t>(i)].get(), bytes, static_cast<uint8_t>(i % 255 + 1)),
           "pieces do not overlap, and large pages keep what they hold");
  }
  const int64_t most = memory.slabBytes();
  expect(most % kLargePageBytes == 0, "slabs are whole large pages");
  expect(most - count * bytes < 17 * std::max(kLargePageBytes, bytes), "slabs are hardly larger than their pieces");
  const int64_t before = most;
  for (int64_t i = 0; i < count; i += 2) pieces[static_cast<size_t>(i)].reset();
  for (int64_t i = 0; i < count; i += 2) {
    pieces[static_cast<size_t>(i)] = memory.take(bytes);
    expect(holdsOnly(pieces[static_cast<size_t>(i)].get(), bytes, 0), "a recycled piece is zero");
  }
  expect(memory.slabBytes() <= before, "pieces that were let go are taken again before new slabs");
  pieces.clear();
  expect(memory.slabBytes() == 0, "slabs without pieces in use go back");
}

void checkSizesApart() {
  const PageMemory memory;
  const Piece small = memory.take(64), large = memory.take(49152);
  const int64_t both = memory.slabBytes();
  expect(both >= 2 * kLargePageBytes, "pieces of two sizes lie in two slabs");
  Piece alone;
  {
    const PageMemory other;
    alone = other.take(128);
  }
  memset(alone.get(), 7, 128);
  expect(holdsOnly(alone.get(), 128, 7), "a piece outlives its memory");
}

/** Takes, fills, looks after and lets go at random; hands some pieces to the thread beside it. */
void takeAndLetGo(const PageMemory& memory, uint8_t mark, std::vector<Piece>& left, bool& good) {
  constexpr int64_t kBytes = 32768;
  std::mt19937 random(mark);
  std::vector<Piece> held;
  for (int step = 0; step < 1500; step++) {
    if (held.size() < 100 && random() % 5 < 3) {
      Piece piece = memory.take(kBytes);
      good = good && holdsOnly(piece.get(), kBytes, 0);
      memset(piece.get(), mark, kBytes);
      held.push_back(std::move(piece));
    } else if (!held.empty()) {
      const size_t at = random() % held.size();
      good = good && holdsOnly(held[at].get(), kBytes, mark);
      if (left.size() < 20) left.push_back(held[at]);
      held[at] = std::move(held.back());
      held.pop_back();
    }
  }
  for (const Piece& piece : held) good = good && holdsOnly(piece.get(), kBytes, mark);
}

void checkThreads() {
  const PageMemory memory;
  constexpr size_t kThreads = 4;
  std::vector<std::vector<Piece>> left(kThreads);
  bool good[kThreads] = {true, true, true, true};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; i++) {
    threads.emplace_back([&, i] { takeAndLetGo(memory, static_cast<uint8_t>(i + 1), left[i], good[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kThreads; i++) expect(good[i], "threads never see each other's pieces");
  left.clear();
  expect(memory.slabBytes() == 0, "slabs go back whichever thread lets go last");
}

}  // namespace

int checkPageMemory() {
  for (const int64_t bytes : kSizes) checkPieces(bytes);
  checkSizesApart();
  checkThreads();
  std::printf("page memory: %d promises broken\n", broken);
  return broken;
}
