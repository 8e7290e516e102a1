// Comparisons of one table's kernels with the scalar table's, bit for bit.
#pragma once
#include <cstdio>
#include <cstring>
#include <string>

#include "../../../src/native/kernels/kernel-table.h"

namespace layerwise {

/** Counts what was compared and prints the first differences. */
class Report {
 public:
  explicit Report(const char* table) : table_(table) {}

  /** The same bits, or NaN in both: which NaN is the processor's choice. */
  template <class Number>
  void same(const std::string& what, const Number* found, const Number* expected, size_t count) {
    compared += static_cast<long>(count);
    for (size_t i = 0; i < count; i++) {
      if (memcmp(found + i, expected + i, sizeof(Number)) == 0) continue;
      if (found[i] != found[i] && expected[i] != expected[i]) continue;
      char numbers[96];
      snprintf(numbers, sizeof numbers, "found %a, expected %a", static_cast<double>(found[i]),
               static_cast<double>(expected[i]));
      fail(what + " [" + std::to_string(i) + "]: " + numbers);
      return;
    }
  }

  void fail(const std::string& what) {
    if (different++ < 20) printf("%s: %s\n", table_, what.c_str());
  }

  long compared = 0;
  long different = 0;

 private:
  const char* table_;
};

/** A table and what it is held to. */
struct Subject {
  const KernelTable& table;
  const KernelTable& scalar;
  Report& report;
  /** A part of the shapes only. */
  bool quick;
};

/** quantizeRows, integerProduct, floatProduct, floatProductTransposed, unpackRow. */
void checkProducts(const Subject& subject);
/** Norms, rotation, activations, sums, conversions. */
void checkElementwise(const Subject& subject);
/** sumLogits, answerLogits. */
void checkLogitRows(const Subject& subject);
/** attend, mergeStates. */
void checkAttention(const Subject& subject);
/** gemmTile, subtractTile, subtractChosen, solveTile, fitSums, fitErrors, levelProduct, sweepLevels, readBytes. */
void checkDense(const Subject& subject);

}  // namespace layerwise
