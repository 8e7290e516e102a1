// Codes as bit planes under their scales: the twin of src/codecs/integer-pack.ts, scale-bytes.ts and bit-planes.ts.
#include <cmath>
#include <cstring>

#include "../kernels/simd-scalar.h"
#include "pack.h"
#include "panels.h"
#include "two-level.h"

namespace layerwise {
namespace offline {
namespace {

/** A chunk's codes as words [quad][row]: columns 4 * quad … + 3 of the row in a word's bytes, lowest first. */
constexpr int kChunkWords = 128;
/** Words of a vector: one quad of 16 rows. */
constexpr int kVectorWords = 16;

/** Notes codes of one chunk that are none of so many bits. */
void checkCodes(const PackCall& call, TileRows rows, int64_t col, FirstProblem* problem) {
  const int limit = 1 << bitsOf(call.form.kind);
  if (limit > 255) return;
  for (int64_t r = 0; r < rows.count; r++) {
    const int64_t at = (rows.first + r) * call.cols + col;
    for (int64_t c = 0; c < least(kChunkCols, call.cols - col); c++) {
      if (call.codes[at + c] >= limit) problem->note("code out of range", at + c);
    }
  }
}

/** Collects the codes of one chunk; what lies outside the matrix is zero. */
void gatherChunk(const PackCall& call, TileRows rows, int64_t col, uint32_t* words) {
  const int64_t width = least(kChunkCols, call.cols - col);
  std::memset(words, 0, kChunkWords * sizeof(uint32_t));
  uint8_t* bytes = reinterpret_cast<uint8_t*>(words);
  for (int64_t r = 0; r < rows.count; r++) {
    const uint8_t* codes = call.codes + (rows.first + r) * call.cols + col;
    for (int64_t c = 0; c < width; c++) bytes[(c / 4 * kVectorWords + r) * 4 + c % 4] = codes[c];
  }
}

/** Writes a chunk's codes as planes, lowest bits first; returns the end. */
uint8_t* writePlanes(int bits, const uint32_t* words, uint8_t* out) {
  for (int shift = 0; shift < bits;) {
    const int width = planeBits(bits - shift);
    const uint32_t mask = ((1u << width) - 1) * 0x01010101u;
    for (int v = 0; v < width; v++) {
      uint32_t vector[kVectorWords] = {};
      for (int quad = v, up = 0; quad < 8; quad += width, up += width) {
        const uint32_t* from = words + quad * kVectorWords;
        for (int r = 0; r < kVectorWords; r++) vector[r] |= ((from[r] >> shift) & mask) << up;
      }
      std::memcpy(out, vector, sizeof vector);
      out += sizeof vector;
    }
    shift += width;
  }
  return out;
}

/** Writes one group's scales or minima, given [row][group], as f16 [16 rows]; returns the end. */
uint8_t* writeHalves(const char* name, const float* numbers, int64_t groups, int64_t group, TileRows rows, uint8_t* out,
                     FirstProblem* problem) {
  uint16_t halves[kTileRows] = {};
  for (int64_t r = 0; r < rows.count; r++) {
    const int64_t at = (rows.first + r) * groups + group;
    halves[r] = scalar::floatToHalf(numbers[at]);
    if (!std::isfinite(numbers[at]) || scalar::halfToFloat(halves[r]) != numbers[at]) problem->note(name, at);
  }
  std::memcpy(out, halves, sizeof halves);
  return out + sizeof halves;
}

/** Writes the rows' own scales or minima as bf16 [16 rows]; returns the end. */
uint8_t* writeRowNumbers(const char* name, const float* numbers, TileRows rows, uint8_t* out, FirstProblem* problem) {
  uint16_t halves[kTileRows] = {};
  for (int64_t r = 0; r < rows.count; r++) {
    const float number = numbers[rows.first + r];
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    halves[r] = static_cast<uint16_t>(bits >> 16);
    if (!std::isfinite(number) || (bits & 0xffffu) != 0) problem->note(name, rows.first + r);
  }
  std::memcpy(out, halves, sizeof halves);
  return out + sizeof halves;
}

/** Writes one group's scales or minima as multiples of the rows' own, int8 [16 rows]; returns the end. */
uint8_t* writeMultiples(const char* name, const float* numbers, const float* rowNumbers, int64_t groups, int64_t group,
                        TileRows rows, uint8_t* out, FirstProblem* problem) {
  int8_t codes[kTileRows] = {};
  for (int64_t r = 0; r < rows.count; r++) {
    const int64_t at = (rows.first + r) * groups + group;
    const double unit = rowNumbers[rows.first + r];
    const double code = scaleCodeFor(numbers[at], unit);
    // Not less than 128 also where a row's number is NaN, which its own check has noted.
    codes[r] = std::fabs(code) < 128 ? static_cast<int8_t>(code) : int8_t{0};
    if (!std::isfinite(numbers[at]) || code * unit != static_cast<double>(numbers[at])) problem->note(name, at);
  }
  std::memcpy(out, codes, sizeof codes);
  return out + sizeof codes;
}

/** Where a group's scales come from: one of the two, with its problem's name. */
struct ScaleSource {
  const float* numbers;
  const float* rowNumbers;
  const char* halvesProblem;
  const char* multiplesProblem;
};

uint8_t* writeGroup(const ScaleSource& from, int64_t groups, int64_t group, TileRows rows, uint8_t* out,
                    FirstProblem* problem) {
  if (from.rowNumbers == nullptr)
    return writeHalves(from.halvesProblem, from.numbers, groups, group, rows, out, problem);
  return writeMultiples(from.multiplesProblem, from.numbers, from.rowNumbers, groups, group, rows, out, problem);
}

}  // namespace

void packIntegerTile(const PackCall& call, int64_t tile, int64_t stride, uint8_t* out, FirstProblem* problem) {
  const TileRows rows = {tile * kTileRows, least(kTileRows, call.rows - tile * kTileRows)};
  const int64_t groups = groupsPerRow(call.cols, call.form.group);
  const int64_t groupCols = call.form.group == 0 ? call.cols : call.form.group;
  const ScaleSource scales = {call.scales, call.rowScales, "scale that is no finite f16 number",
                              "scale that is no multiple of its row's"};
  const ScaleSource minima = {call.minima, call.rowMinima, "minimum that is no finite f16 number",
                              "minimum that is no multiple of its row's"};
  uint8_t* at = out;
  if (call.rowScales)
    at = writeRowNumbers("row scale that is no finite bf16 number", call.rowScales, rows, at, problem);
  if (call.rowMinima)
    at = writeRowNumbers("row minimum that is no finite bf16 number", call.rowMinima, rows, at, problem);
  for (int64_t group = 0; group < groups; group++) {
    at = writeGroup(scales, groups, group, rows, at, problem);
    if (call.form.asymmetric) at = writeGroup(minima, groups, group, rows, at, problem);
    for (int64_t col = group * groupCols; col < least(call.cols, (group + 1) * groupCols); col += kChunkCols) {
      checkCodes(call, rows, col, problem);
      if (call.form.sparse()) {
        at = writeSparseChunk(call, rows, col, at, problem);
        continue;
      }
      uint32_t words[kChunkWords];
      gatherChunk(call, rows, col, words);
      at = writePlanes(bitsOf(call.form.kind), words, at);
    }
  }
  std::memset(at, 0, static_cast<size_t>(stride - (at - out)));
}

}  // namespace offline
}  // namespace layerwise
