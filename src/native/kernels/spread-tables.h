// How bytes move to the bits of a mask, for instruction sets that shuffle eight bytes by a table.
#pragma once
#include <cstdint>

namespace layerwise {

/** For each mask of eight bits: the place in a run of bytes of each bit that is set, 0x80 where it is not. */
struct SpreadTable {
  alignas(64) uint8_t places[256][8];

  constexpr SpreadTable() : places() {
    for (int mask = 0; mask < 256; mask++) {
      uint8_t next = 0;
      for (int bit = 0; bit < 8; bit++) places[mask][bit] = (mask >> bit & 1) != 0 ? next++ : uint8_t{0x80};
    }
  }
};

/** In each byte how many bits are set in the bytes of `mask` up to it. */
static inline constexpr uint64_t bitsUpToByte(uint64_t mask) {
  uint64_t counts = mask - (mask >> 1 & 0x5555555555555555u);
  counts = (counts & 0x3333333333333333u) + (counts >> 2 & 0x3333333333333333u);
  counts = (counts + (counts >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return counts * 0x0101010101010101u;
}

}  // namespace layerwise
