// Pages of keys and values. Plain C++: one position at a time, whatever the processor.
#include "kv-page.h"

#include <algorithm>
#include <cmath>

namespace layerwise {

namespace {

constexpr float kMostLevel = 127;
/** Below it 1 / scale could overflow; the int8 activations have the same bound. */
constexpr float kLeastMax = kMostLevel * 0x1p-126f;

int64_t numberBytes(KvType type) { return type == KvType::F32 ? 4 : type == KvType::F16 ? 2 : 1; }

/** Numbers `step` apart: 64 for keys, of which a position is a column, 1 for values. Infinity becomes NaN. */
void writeF32(const float* x, int32_t n, float* out, int32_t step) {
  for (int32_t i = 0; i < n; i++) out[static_cast<int64_t>(i) * step] = x[i] + x[i] * 0.0f;
}

/** The same in f16, where a number beyond its range becomes NaN too. */
void writeF16(const DeviceKernels& kernels, const float* x, int32_t n, uint16_t* out, int32_t step) {
  constexpr uint16_t infinity = 0x7c00, nan = 0x7e00;
  uint16_t part[64];
  for (int32_t from = 0; from < n; from += 64) {
    const int32_t count = std::min(64, n - from);
    kernels.toF16(x + from, count, part);
    for (int32_t i = 0; i < count; i++) {
      const uint16_t half = (part[i] & infinity) == infinity ? nan : part[i];
      out[static_cast<int64_t>(from + i) * step] = half;
    }
  }
}

/** Returns the scale. */
float writeQ8(const float* x, int32_t n, int8_t* out, int32_t step) {
  float largest = 0, poison = 0;
  for (int32_t i = 0; i < n; i++) {
    largest = std::max(largest, std::fabs(x[i]));
    poison += x[i] * 0.0f;  // NaN if the number is not finite
  }
  const bool zero = largest < kLeastMax;
  const float scale = zero ? 0 : largest / kMostLevel;
  const float inverse = zero ? 0 : 1 / scale;
  // Adding and taking away 1.5 * 2^23 rounds to a whole number, halves to even, without a call.
  constexpr float rounder = 0x1.8p23f;
  for (int32_t i = 0; i < n; i++) {
    const float level = (std::max(-kMostLevel, std::min(kMostLevel, x[i] * inverse)) + rounder) - rounder;
    out[static_cast<int64_t>(i) * step] = level == level ? static_cast<int8_t>(level) : int8_t{0};
  }
  return scale + poison;
}

}  // namespace

int64_t PageShape::headBytes() const {
  const int64_t scales = type == KvType::Q8 ? 2 * kPagePositions * static_cast<int64_t>(sizeof(float)) : 0;
  return 2 * kPagePositions * numberBytes(type) * headDim + scales;
}

KvPage headOfPage(const PageShape& shape, const uint8_t* bytes, int32_t kvHead) {
  const uint8_t* const keys = bytes + kvHead * shape.headBytes();
  const int64_t part = kPagePositions * numberBytes(shape.type) * shape.headDim;
  KvPage head = {keys, keys + part, nullptr, nullptr};
  if (shape.type == KvType::Q8) {
    head.keyScales = reinterpret_cast<const float*>(keys + 2 * part);
    head.valueScales = head.keyScales + kPagePositions;
  }
  return head;
}

void writeHead(const DeviceKernels& kernels, const PageShape& shape, uint8_t* bytes, int32_t kvHead, int32_t slot,
               const float* key, const float* value) {
  const int32_t n = shape.headDim;
  uint8_t* const head = bytes + kvHead * shape.headBytes();
  const int64_t numbers = static_cast<int64_t>(kPagePositions) * n;
  const int64_t row = static_cast<int64_t>(slot) * n;
  switch (shape.type) {
    case KvType::F32: {
      float* const keys = reinterpret_cast<float*>(head);
      writeF32(key, n, keys + slot, kPagePositions);
      writeF32(value, n, keys + numbers + row, 1);
      return;
    }
    case KvType::F16: {
      uint16_t* const keys = reinterpret_cast<uint16_t*>(head);
      writeF16(kernels, key, n, keys + slot, kPagePositions);
      writeF16(kernels, value, n, keys + numbers + row, 1);
      return;
    }
    case KvType::Q8: {
      int8_t* const keys = reinterpret_cast<int8_t*>(head);
      float* const scales = reinterpret_cast<float*>(head + 2 * numbers);
      scales[slot] = writeQ8(key, n, keys + slot, kPagePositions);
      scales[kPagePositions + slot] = writeQ8(value, n, keys + numbers + row, 1);
      return;
    }
  }
}

}  // namespace layerwise
