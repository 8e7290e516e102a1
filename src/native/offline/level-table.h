// Levels of a codec: whole numbers or a table. The twin of src/maths/level-form.ts.
#pragma once
#include <cstdint>

#include "whole-levels.h"

namespace layerwise {
namespace offline {

/** Entries of a table by floor(2 y) + 256: the middle between two levels is a multiple of 1/2. */
constexpr int kLevelEntries = 512;

/** The entry for y; not a number has the first. */
inline int levelEntry(double y) {
  const double place = y + y;
  const double within = place >= -256 ? (place <= 255 ? place : 255) : -256;
  return static_cast<int>(within + 256);
}

/** The levels that codes 0 … 2^bits - 1 stand for. */
struct LevelForm {
  int bits;
  bool asymmetric;
  /** Scales are searched as f32, to be written as int8 codes of the row's scale afterwards. */
  bool twoLevel;
  bool table;
  double least, most;
  /** From the outermost levels to the next ones. */
  double gapLow, gapHigh;
  double entries[kLevelEntries];
  uint8_t codes[kLevelEntries];

  /** `levels`: [2^bits], ascending, or null for whole numbers. */
  LevelForm(int bits, bool asymmetric, bool twoLevel, const int8_t* levels);

  const double* nearest() const { return table ? entries : nullptr; }

  /** The code of the level nearest to y. Not a number has code 0, as in the twin's array of bytes. */
  uint8_t codeOf(double y) const {
    if (table) return codes[levelEntry(y)];
    const double code = nearestLevel(y, least, most) - least;
    return code > 0 ? static_cast<uint8_t>(code) : 0;
  }

  double levelOf(uint8_t code) const { return table ? values[code] : code + least; }

 private:
  double values[256];
};

}  // namespace offline
}  // namespace layerwise
