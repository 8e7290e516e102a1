// Two-level scales: the twin of src/codecs/two-level.ts, which has the reasons.
#pragma once
#include <cstdint>
#include <cstring>

#include "whole-levels.h"

namespace layerwise {
namespace offline {

/** Largest whole number that a group's scale is stored as. */
constexpr int kMostScaleCode = 127;

/** The value of bf16 bits. */
inline double bf16Value(uint32_t half) {
  const uint32_t bits = half << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/**
 * The row scale for scales of at most `most` in magnitude: the least bf16 number whose 127-fold reaches it; 0 for 0.
 */
inline float rowScaleFor(double most) {
  const float nearest = static_cast<float>(most / kMostScaleCode);
  uint32_t bits;
  std::memcpy(&bits, &nearest, sizeof bits);
  uint32_t half = bits >> 16;
  while (half > 0 && kMostScaleCode * bf16Value(half - 1) >= most) half--;
  while (kMostScaleCode * bf16Value(half) < most) half++;
  return static_cast<float>(bf16Value(half));
}

/**
 * The whole number -127 … 127 whose multiple of `rowScale` is nearest to `wanted`, ties to even; 0 where the row's
 * scale is 0.
 */
inline double scaleCodeFor(double wanted, double rowScale) {
  return rowScale == 0 ? 0 : nearestLevel(wanted / rowScale, -kMostScaleCode, kMostScaleCode);
}

}  // namespace offline
}  // namespace layerwise
