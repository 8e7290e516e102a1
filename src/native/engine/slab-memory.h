// Large pieces of memory from the system, and the processor's large pages.
#pragma once
#include <cstdint>

namespace layerwise {

/** The large page of x86-64 and of 64-bit ARM with pages of 4 KiB. */
constexpr int64_t kLargePageBytes = int64_t{2} << 20;

/**
 * Memory from a multiple of kLargePageBytes (Linux; elsewhere of 64) that is only taken where it is touched. `bytes` is
 * a multiple of kLargePageBytes. Throws std::bad_alloc.
 */
uint8_t* takeSlab(int64_t bytes);
void returnSlab(uint8_t* slab, int64_t bytes);

/**
 * Makes large pages of a slab that has been written: at once where the system can (Linux 6.1), else the system may do
 * it by and by. What it holds stays; other threads may use it meanwhile. Does nothing where the system has no such
 * pages or none left.
 */
void useLargePages(uint8_t* slab, int64_t bytes);

}  // namespace layerwise
