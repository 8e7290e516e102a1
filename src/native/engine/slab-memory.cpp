// Slabs by the system's calls.
#include "slab-memory.h"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace layerwise {

#if defined(__linux__)

uint8_t* takeSlab(int64_t bytes) {
  const auto length = static_cast<size_t>(bytes), align = static_cast<size_t>(kLargePageBytes);
  // The system aligns to its small pages: what lies before and behind the aligned part goes back.
  void* const mapped = mmap(nullptr, length + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<uint8_t*>(mapped);
  const size_t before = (align - reinterpret_cast<uintptr_t>(mapped) % align) % align;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + length, align - before);
  return begin + before;
}

void returnSlab(uint8_t* slab, int64_t bytes) { munmap(slab, static_cast<size_t>(bytes)); }

void useLargePages(uint8_t* slab, int64_t bytes) {
  // Of Linux 6.1; headers may be older.
  constexpr int kCollapse = 25;
  const auto length = static_cast<size_t>(bytes);
  if (madvise(slab, length, MADV_HUGEPAGE) == 0) madvise(slab, length, kCollapse);
}

#else

namespace {
constexpr std::align_val_t kAlign{64};
}

uint8_t* takeSlab(int64_t bytes) {
  return static_cast<uint8_t*>(::operator new(static_cast<size_t>(bytes), kAlign));
}

void returnSlab(uint8_t* slab, int64_t) { ::operator delete(slab, kAlign); }

void useLargePages(uint8_t*, int64_t) {}

#endif

}  // namespace layerwise
