// Where the keys and values of a page lie, and how a position is stored.
#pragma once
#include <cstdint>

#include "../kernels/device-kernels.h"

namespace layerwise {

/**
 * Of one block's pages. A page is its key/value heads one after the other: keys, values, and for Q8 the scales of both.
 */
struct PageShape {
  KvType type = KvType::F16;
  int32_t kvHeads = 0;
  int32_t headDim = 0;

  /** A multiple of 64. */
  int64_t headBytes() const;
  int64_t bytes() const { return headBytes() * kvHeads; }
};

/** A head of the page at `bytes`. */
KvPage headOfPage(const PageShape& shape, const uint8_t* bytes, int32_t kvHead);

/**
 * Stores key and value, [headDim] each, at position `slot` of a head. What the type cannot hold is stored as NaN: an
 * infinite key could have a score of -infinity, and its position would be left out without a word. Q8: scale = max|x| /
 * 127 in f32, level = x * (1 / scale) rounded to nearest even; scale and levels are 0 where max|x| < 127 * 2^-126, and
 * the scale is NaN where a number is not finite.
 */
void writeHead(const DeviceKernels& kernels, const PageShape& shape, uint8_t* bytes, int32_t kvHead, int32_t slot,
               const float* key, const float* value);

}  // namespace layerwise
