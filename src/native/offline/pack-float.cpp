// Plain floats as [column][16 rows]: the twin of src/codecs/float.ts.
#include <cmath>
#include <cstring>

#include "pack.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

uint32_t bitsOfFloat(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

/** Round to nearest even; NaN stays NaN. */
uint16_t floatToBf16(float x) {
  const uint32_t bits = bitsOfFloat(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

void narrow(const DeviceKernels& kernels, CodecKind kind, const float* columns, int64_t n, uint8_t* out) {
  if (kind == CodecKind::F32) {
    std::memcpy(out, columns, static_cast<size_t>(n) * sizeof(float));
  } else if (kind == CodecKind::F16) {
    kernels.toF16(columns, n, reinterpret_cast<uint16_t*>(out));
  } else {
    uint16_t* halves = reinterpret_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; i++) halves[i] = floatToBf16(columns[i]);
  }
}

/** Whether a stored number is infinite or NaN: its exponent is all ones. */
bool finiteAt(CodecKind kind, const uint8_t* out, int64_t i) {
  if (kind == CodecKind::F32) {
    uint32_t bits;
    std::memcpy(&bits, out + 4 * i, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
  }
  const uint16_t ones = kind == CodecKind::F16 ? 0x7c00 : 0x7f80;
  uint16_t bits;
  std::memcpy(&bits, out + 2 * i, sizeof bits);
  return (bits & ones) != ones;
}

}  // namespace

void packFloatTile(const DeviceKernels& kernels, const PackCall& call, int64_t tile, int64_t stride, uint8_t* out,
                   float* columns, FirstProblem* problem) {
  const int64_t first = tile * kTileRows, cols = call.cols, n = cols * kTileRows;
  const int64_t rows = least(kTileRows, call.rows - first);
  packPanel<kTileRows>(Strided<float>{call.values + first * cols, cols, 1}, rows, cols, columns);
  narrow(kernels, call.form.kind, columns, n, out);
  for (int64_t i = 0; i < n; i++) {
    if (finiteAt(call.form.kind, out, i)) continue;
    problem->note("value that is not finite as stored", (first + i % kTileRows) * cols + i / kTileRows);
  }
  const int64_t bytes = n * bitsOf(call.form.kind) / 8;
  std::memset(out + bytes, 0, static_cast<size_t>(stride - bytes));
}

}  // namespace offline
}  // namespace layerwise
