// The kernels of the offline stages: every size of a tile, short and long sums, and the searches' loops.
#include "random-inputs.h"
#include "table-checks.h"

namespace layerwise {
namespace {

/** Runs a kernel that changes a copy of `start` with both tables and compares. */
template <class Number, class Run>
void compareOn(const Subject& s, const std::string& what, const std::vector<Number>& start, Run run) {
  std::vector<Number> found = start, expected = start;
  run(s.table, found.data());
  run(s.scalar, expected.data());
  s.report.same(what, found.data(), expected.data(), start.size());
}

void checkTiles(const Subject& s, Random& random) {
  for (int64_t k : {0, 1, 2, 7, 65}) {
    const size_t steps = static_cast<size_t>(k);
    const std::vector<float> a = numbers(random, 6 * steps), b = numbers(random, 16 * steps),
                             c = numbers(random, 6 * 20);
    const std::vector<double> da = doubles(random, 6 * steps), db = doubles(random, 8 * steps),
                              dc = doubles(random, 6 * 12);
    std::vector<int32_t> chosen(steps);
    for (int32_t& row : chosen) row = random.below(static_cast<int>(k));
    for (int32_t mr = 1; mr <= 6; mr++) {
      for (int32_t nr = 1; nr <= 16; nr++) {
        const std::string name = std::to_string(mr) + "x" + std::to_string(nr) + ", k = " + std::to_string(k);
        for (bool accumulate : {false, true}) {
          compareOn(s, "gemmTile " + name, c, [&](const KernelTable& t, float* out) {
            offlineKernelsOf(t).gemmTile(k, a.data(), b.data(), out, 20, mr, nr, accumulate);
          });
        }
        if (nr > 8) continue;
        compareOn(s, "subtractTile " + name, dc, [&](const KernelTable& t, double* out) {
          offlineKernelsOf(t).subtractTile(k, da.data(), db.data(), out, 12, mr, nr);
        });
        compareOn(s, "subtractChosen " + name, dc, [&](const KernelTable& t, double* out) {
          double* const rows[] = {out + 48, out, out + 12, out + 60, out + 36, out + 24};
          offlineKernelsOf(t).subtractChosen(k, da.data(), chosen.data(), db.data(), rows, mr, nr);
        });
      }
    }
  }
}

void checkSolving(const Subject& s, Random& random) {
  for (int32_t n : {1, 2, 3, 4, 5, 8, 13, 40}) {
    const size_t ldl = static_cast<size_t>(n + 3);
    std::vector<double> l = doubles(random, static_cast<size_t>(n) * ldl);
    for (size_t i = 0; i < static_cast<size_t>(n); i++) l[i * ldl + i] = 2.5 + random.uniform();
    compareOn(s, "solveTile " + std::to_string(n), doubles(random, static_cast<size_t>(n) * 8),
              [&](const KernelTable& t, double* x) {
                offlineKernelsOf(t).solveTile(n, l.data(), static_cast<int64_t>(ldl), x);
              });
  }
}

/** fitSums and fitErrors of one group, for all candidates. */
void checkFits(const Subject& s, const std::string& name, const FitGroup& group, const std::vector<double>& factors,
               const std::vector<double>& scales, const double* offsets) {
  const int32_t count = static_cast<int32_t>(factors.size());
  compareOn(s, "fitSums " + name, std::vector<double>(3 * factors.size(), 0), [&](const KernelTable& t, double* out) {
    offlineKernelsOf(t).fitSums(group, factors.data(), offsets, count, out, out + count, out + 2 * count);
  });
  for (bool twoSums : {false, true}) {
    compareOn(s, "fitErrors " + name, std::vector<double>(factors.size(), 0), [&](const KernelTable& t, double* out) {
      offlineKernelsOf(t).fitErrors(group, factors.data(), scales.data(), offsets, count, twoSums, out);
    });
  }
}

void checkSearches(const Subject& s, Random& random) {
  for (int32_t n : {1, 2, 31, 32, 64, 129}) {
    for (int32_t count : {4, 12}) {
      const size_t lanes = static_cast<size_t>(count);
      const std::vector<float> x = numbers(random, static_cast<size_t>(n)), w = numbers(random, static_cast<size_t>(n));
      const std::vector<double> factors = doubles(random, lanes), scales = doubles(random, lanes),
                                shifts = doubles(random, lanes);
      const std::vector<double> levels = doubles(random, 512);
      const FitGroup whole = {x.data(), w.data(), n, -4, 3, nullptr},
                     table = {x.data(), w.data(), n, -4, 3, levels.data()};
      checkFits(s, "n = " + std::to_string(n), whole, factors, scales, nullptr);
      checkFits(s, "n = " + std::to_string(n) + ", offsets", whole, factors, scales, shifts.data());
      checkFits(s, "n = " + std::to_string(n) + ", table", table, factors, scales, nullptr);
    }
  }
}

/** A symmetric matrix with a heavy diagonal, rows of ld. */
std::vector<double> symmetric(Random& random, int32_t n, int32_t ld) {
  std::vector<double> h(static_cast<size_t>(n) * static_cast<size_t>(ld), 0);
  for (int32_t i = 0; i < n; i++) {
    for (int32_t j = 0; j <= i; j++) h[i * ld + j] = h[j * ld + i] = i == j ? 3 + random.uniform() : random.uniform();
  }
  return h;
}

/** One sweep over random levels; the arrays that it changes one after the other, then whether it moved anything. */
void checkSweep(const Subject& s, Random& random, int32_t n, const double* levels, bool shifted, bool zerosStay) {
  const int32_t ld = (n + 3) / 4 * 4;
  const size_t room = static_cast<size_t>(ld);
  const std::vector<double> h = symmetric(random, n, ld);
  std::vector<double> diagonal(room, 1), start = doubles(random, 3 * room + 1);
  for (int32_t i = 0; i < n; i++) diagonal[i] = h[i * ld + i];
  for (size_t i = static_cast<size_t>(n); i < room; i++) start[room + i] = 0;
  for (size_t i = 0; i < room; i++) start[2 * room + i] = std::nearbyint(2 * start[2 * room + i]);
  const double scale = 0.3 + 0.1 * random.uniform(), minimum = shifted ? 0.1 * random.uniform() : 0;
  const std::string name =
      "sweepLevels, n = " + std::to_string(n) + (levels ? ", table" : "") + (shifted ? ", shifted" : "") +
                           (zerosStay ? ", zeros stay" : "");
  compareOn(s, name, start, [&](const KernelTable& t, double* out) {
    const bool moved = offlineKernelsOf(t).sweepLevels({n, ld, h.data(), diagonal.data(), -4, 3, levels, scale,
                                                        1 / scale, minimum, shifted, zerosStay, out, out + room,
                                                        out + 2 * room});
    out[3 * room] = moved ? 1 : 0;
  });
}

void checkRefinement(const Subject& s, Random& random) {
  std::vector<double> levels(512);
  for (int i = 0; i < 512; i++) levels[static_cast<size_t>(i)] = i < 250 ? -4 : i < 256 ? -1 : i < 261 ? 1 : 3;
  for (int32_t n : {1, 2, 3, 4, 5, 31, 32, 33, 64, 127, 128}) {
    const int32_t ld = (n + 3) / 4 * 4;
    const std::vector<double> h = symmetric(random, n, ld), chosen = doubles(random, static_cast<size_t>(n));
    compareOn(s, "levelProduct " + std::to_string(n), std::vector<double>(static_cast<size_t>(ld), 7),
              [&](const KernelTable& t, double* out) {
                offlineKernelsOf(t).levelProduct(n, ld, h.data(), chosen.data(), out);
              });
    for (bool shifted : {false, true}) checkSweep(s, random, n, nullptr, shifted, false);
    checkSweep(s, random, n, levels.data(), false, false);
    checkSweep(s, random, n, nullptr, false, true);
  }
}

void checkReading(const Subject& s, Random& random) {
  std::vector<uint8_t> bytes(5000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits());
  for (int64_t n : {0, 1, 8, 63, 64, 255, 256, 257, 1000, 4096, 5000}) {
    if (s.table.device.readBytes(bytes.data(), n) != s.scalar.device.readBytes(bytes.data(), n))
      s.report.fail("readBytes " + std::to_string(n));
    s.report.compared++;
  }
}

}  // namespace

void checkDense(const Subject& subject) {
  Random random(4);
  checkTiles(subject, random);
  checkSolving(subject, random);
  checkSearches(subject, random);
  checkRefinement(subject, random);
  checkReading(subject, random);
}

}  // namespace layerwise
