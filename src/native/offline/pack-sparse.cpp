// A sparse chunk: the mask, and the codes whose bit is set. The twin of src/codecs/sparse-chunk.ts.
#include <cstring>

#include "pack.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/**
 * The columns of a row, bit by bit, that are stored: those whose code is not `zero`, and from the first on as many
 * others as there is room for. False where there is none for all that must be.
 */
bool chooseStored(const CodecForm& form, const uint8_t* codes, int64_t width, uint8_t zero, uint32_t* stored) {
  *stored = 0;
  for (int64_t from = 0; from < width; from += form.keptOf) {
    const int64_t to = least(width, from + form.keptOf);
    int room = form.keptCount;
    for (int64_t c = from; c < to; c++) room -= codes[c] != zero;
    if (room < 0) return false;
    for (int64_t c = from; c < to; c++) {
      if (codes[c] == zero && room-- <= 0) continue;
      *stored |= uint32_t{1} << c;
    }
  }
  return true;
}

/** Writes a section's codes as planes, lowest bits first; returns the end. */
uint8_t* writeSection(int bits, const uint8_t* codes, uint8_t* out) {
  for (int shift = 0; shift < bits;) {
    const int width = planeBits(bits - shift), bytes = 16 * width;
    const int mask = (1 << width) - 1;
    for (int i = 0; i < bytes; i++) {
      int byte = 0;
      for (int field = 0; field < 8 / width; field++) {
        byte |= (codes[field * bytes + i] >> shift & mask) << (field * width);
      }
      *out++ = static_cast<uint8_t>(byte);
    }
    shift += width;
  }
  return out;
}

}  // namespace

uint8_t* writeSparseChunk(const PackCall& call, TileRows rows, int64_t col, uint8_t* out, FirstProblem* problem) {
  const int bits = bitsOf(call.form.kind);
  const int64_t width = least(kChunkCols, call.cols - col);
  const uint8_t zero = static_cast<uint8_t>(1 << (bits - 1));
  uint32_t stored[kTileRows] = {};
  uint64_t masks[kChunkCols / 4] = {};
  for (int64_t r = 0; r < rows.count; r++) {
    const int64_t at = (rows.first + r) * call.cols + col;
    if (!chooseStored(call.form, call.codes + at, width, zero, &stored[r])) {
      problem->note("more levels that are not 0 than the codec keeps", at);
    }
    for (int quad = 0; quad < kChunkCols / 4; quad++) {
      masks[quad] |= static_cast<uint64_t>(stored[r] >> (4 * quad) & 15) << (4 * r);
    }
  }
  std::memcpy(out, masks, sizeof masks);
  out += sizeof masks;
  uint8_t stream[kTileRows * kChunkCols] = {};
  uint8_t* next = stream;
  for (int64_t quad = 0; quad < kChunkCols / 4; quad++) {
    for (int64_t r = 0; r < rows.count; r++) {
      const uint8_t* codes = call.codes + (rows.first + r) * call.cols + col + 4 * quad;
      for (int j = 0; j < 4; j++) {
        if ((stored[r] >> (4 * quad + j) & 1) != 0) *next++ = codes[j];
      }
    }
  }
  for (int s = 0; s < call.form.sections(); s++) out = writeSection(bits, stream + s * kSectionCodes, out);
  return out;
}

}  // namespace offline
}  // namespace layerwise
