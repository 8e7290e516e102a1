// The kernels that compare rows of logits and answer them, for every length around its steps and every sort of number.
#include "random-inputs.h"
#include "table-checks.h"

namespace layerwise {
namespace {

constexpr int64_t kLengths[] = {1, 2, 15, 16, 17, 31, 63, 64, 65, 130, 1023, 1024, 1025, 1100, 2100};

std::vector<double> sumsOf(const KernelTable& table, const float* reference, const std::vector<float>& row) {
  RowSums out;
  offlineKernelsOf(table).sumLogits(reference, row.data(), static_cast<int64_t>(row.size()), &out);
  const auto number = [](int64_t x) { return static_cast<double>(x); };
  return {number(out.largest),
          out.mass,
          number(out.referenceLargest),
          out.referenceMass,
          static_cast<double>(out.shift),
          number(out.ahead),
          out.slope,
          out.excess};
}

void compareSums(const Subject& s, const std::string& what, const float* reference, const std::vector<float>& row) {
  const std::vector<double> found = sumsOf(s.table, reference, row), expected = sumsOf(s.scalar, reference, row);
  s.report.same("sumLogits " + what, found.data(), expected.data(), found.size());
}

void compareAnswers(const Subject& s, const std::string& what, const std::vector<float>& row) {
  const auto answerOf = [&row](const KernelTable& table) {
    RowAnswer out;
    table.device.answerLogits(row.data(), static_cast<int64_t>(row.size()), &out);
    return std::vector<double>{static_cast<double>(out.largest), static_cast<double>(out.second), out.mass, out.slope};
  };
  const std::vector<double> found = answerOf(s.table), expected = answerOf(s.scalar);
  s.report.same("answerLogits " + what, found.data(), expected.data(), found.size());
}

/** x and a little noise: a row near it. */
std::vector<float> near(Random& random, const std::vector<float>& x, double noise) {
  std::vector<float> out(x);
  for (float& y : out) y += static_cast<float>(noise * random.uniform());
  return out;
}

}  // namespace

void checkLogitRows(const Subject& s) {
  Random random(5);
  for (int64_t n : kLengths) {
    const size_t count = static_cast<size_t>(n);
    for (Sort sort : kSorts) {
      const std::string name = ", sort " + std::to_string(static_cast<int>(sort)) + ", n = " + std::to_string(n);
      const std::vector<float> reference = numbers(random, count, sort), row = numbers(random, count, sort);
      compareSums(s, "alone" + name, nullptr, row);
      compareAnswers(s, name.substr(2), row);
      compareSums(s, "of others" + name, reference.data(), row);
      compareSums(s, "of the same" + name, row.data(), row);
      for (double noise : {1e-4, 0.3, 20.0}) {
        compareSums(s, "of near ones" + name, reference.data(), near(random, reference, noise));
      }
    }
  }
}

}  // namespace layerwise
