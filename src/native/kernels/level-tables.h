// The levels of the table codecs: src/codecs/level-tables.ts has the reasons, and a test compares the two.
#pragma once
#include <cstdint>

namespace layerwise {

/** Widest codes that stand for the numbers of a table. */
constexpr int kMostTableBits = 5;

/**
 * Levels by code for widths 2 to 5, repeated to 32 so that a shuffle may look up whole bytes in 16 or 32 of them.
 */
alignas(32) constexpr int8_t kLevelTables[][32] = {
    {-127, -43, 18, 89, -127, -43, 18, 89, -127, -43, 18, 89, -127, -43, 18, 89,
     -127, -43, 18, 89, -127, -43, 18, 89, -127, -43, 18, 89, -127, -43, 18, 89},
    {-127, -77, -45, -18, 7, 33, 63, 104, -127, -77, -45, -18, 7, 33, 63, 104,
     -127, -77, -45, -18, 7, 33, 63, 104, -127, -77, -45, -18, 7, 33, 63, 104},
    {-127, -92, -72, -56, -41, -28, -15, -3, 9, 21, 34, 48, 63, 80, 101, 125,
     -127, -92, -72, -56, -41, -28, -15, -3, 9, 21, 34, 48, 63, 80, 101, 125},
    {-127, -106, -95, -85, -75, -67, -59, -51, -44, -37, -31, -24, -18, -12, -7, -2,
     4, 9, 14, 19, 24, 30, 37, 43, 51, 58, 66, 74, 82, 92, 103, 116},
};

/** The levels of a width. */
constexpr const int8_t* levelTable(int bits) { return kLevelTables[bits - 2]; }

}  // namespace layerwise
