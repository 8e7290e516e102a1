#include "level-table.h"

#include <algorithm>

namespace layerwise {
namespace offline {

LevelForm::LevelForm(int bits, bool asymmetric, bool twoLevel, const int8_t* levels)
    : bits(bits), asymmetric(asymmetric), twoLevel(twoLevel), table(levels != nullptr), gapLow(1), gapHigh(1) {
  const int count = 1 << bits;
  least = asymmetric ? 0 : -count / 2;
  most = least + count - 1;
  if (!table) return;
  std::copy_n(levels, count, values);
  least = values[0];
  most = values[count - 1];
  gapLow = values[1] - values[0];
  gapHigh = values[count - 1] - values[count - 2];
  uint8_t code = 0;
  for (int entry = 0; entry < kLevelEntries; entry++) {
    // y from (entry - 256) / 2 on lies nearer to the next level from their middle on.
    while (code + 1 < count && entry - 256 >= values[code] + values[code + 1]) code++;
    entries[entry] = values[code];
    codes[entry] = code;
  }
}

}  // namespace offline
}  // namespace layerwise
