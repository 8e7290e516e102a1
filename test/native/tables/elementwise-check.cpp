// Kernels over rows of floats, for every length around a multiple of 16 and every sort of number.
#include "random-inputs.h"
#include "table-checks.h"

namespace layerwise {
namespace {

constexpr int32_t kLengths[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 64, 100, 576};

/** Runs a kernel that changes `x` in place with both tables and compares. */
template <class Run>
void compareInPlace(const Subject& s, const std::string& what, const std::vector<float>& x, Run run) {
  Guarded<float> found(x.size(), 0x5a), expected(x.size(), 0x5a);
  memcpy(found.data(), x.data(), x.size() * sizeof(float));
  memcpy(expected.data(), x.data(), x.size() * sizeof(float));
  run(s.table, found.data());
  run(s.scalar, expected.data());
  s.report.same(what, found.data(), expected.data(), x.size());
  if (found.overrun()) s.report.fail(what + ": writes beyond the end");
}

void checkNorms(const Subject& s, Random& random, int32_t n, Sort sort, const std::string& name) {
  const size_t count = static_cast<size_t>(n);
  const std::vector<float> x = numbers(random, count, sort), weight = numbers(random, count),
                           bias = numbers(random, count);
  compareInPlace(s, "rmsNorm" + name, x,
                 [&](const KernelTable& t, float* y) { t.device.rmsNorm(y, n, weight.data(), 1e-5f, y); });
  compareInPlace(s, "layerNorm" + name, x, [&](const KernelTable& t, float* y) {
    t.device.layerNorm(y, n, weight.data(), bias.data(), 1e-5f, y);
  });
  compareInPlace(s, "rmsNorm to another row" + name, weight,
                 [&](const KernelTable& t, float* y) { t.device.rmsNorm(x.data(), n, bias.data(), 1e-6f, y); });
}

void checkActivations(const Subject& s, Random& random, int32_t n, Sort sort, const std::string& name) {
  const std::vector<float> x = numbers(random, static_cast<size_t>(n), sort),
                           up = numbers(random, static_cast<size_t>(n));
  for (Activation kind : {Activation::Silu, Activation::GeluErf, Activation::GeluTanh, Activation::Relu}) {
    const std::string which = " " + std::to_string(static_cast<int>(kind)) + name;
    compareInPlace(s, "activate" + which, x, [&](const KernelTable& t, float* y) { t.device.activate(kind, y, n); });
    compareInPlace(s, "activateGated" + which, x,
                   [&](const KernelTable& t, float* y) { t.device.activateGated(kind, y, up.data(), n); });
  }
}

void checkSums(const Subject& s, Random& random, int32_t n, Sort sort, const std::string& name) {
  const size_t count = static_cast<size_t>(n);
  const std::vector<float> x = numbers(random, count, sort), y = numbers(random, count, sort);
  const std::vector<float> cos = numbers(random, count), sin = numbers(random, count),
                           pairs = numbers(random, 2 * count, sort);
  compareInPlace(s, "add" + name, y, [&](const KernelTable& t, float* out) { t.device.add(out, x.data(), n); });
  compareInPlace(s, "addScaled" + name, y,
                 [&](const KernelTable& t, float* out) { t.device.addScaled(out, x.data(), 0.37f, n); });
  compareInPlace(s, "scale" + name, y, [&](const KernelTable& t, float* out) { t.device.scale(out, -1.7f, n); });
  compareInPlace(s, "rotate" + name, pairs,
                 [&](const KernelTable& t, float* out) { t.device.rotate(out, 2 * n, cos.data(), sin.data()); });
}

void checkNarrowing(const Subject& s, Random& random, int32_t n, Sort sort, const std::string& name) {
  const std::vector<float> x = numbers(random, static_cast<size_t>(n), sort);
  Guarded<uint16_t> found(x.size(), 0x5a), expected(x.size(), 0x5a);
  s.table.device.toF16(x.data(), n, found.data());
  s.scalar.device.toF16(x.data(), n, expected.data());
  s.report.same("toF16" + name, found.data(), expected.data(), x.size());
  if (found.overrun()) s.report.fail("toF16" + name + ": writes beyond the end");
}

/** Every half there is, from every alignment of its row's end; and back, with the floats around each that are ties. */
void checkAllHalves(const Subject& s) {
  std::vector<uint16_t> halves(65536);
  for (int i = 0; i < 65536; i++) halves[static_cast<size_t>(i)] = static_cast<uint16_t>(i);
  std::vector<float> found(65536), expected(65536), ties;
  for (int64_t n : {65536, 37, 16, 1}) {
    s.table.device.fromF16(halves.data(), n, found.data());
    s.scalar.device.fromF16(halves.data(), n, expected.data());
    s.report.same("fromF16", found.data(), expected.data(), static_cast<size_t>(n));
  }
  for (uint32_t half = 0; half < 65536; half++) {
    uint32_t bits;
    memcpy(&bits, &expected[half], sizeof bits);
    for (uint32_t step : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu}) {
      const uint32_t near = bits + step;
      float x;
      memcpy(&x, &near, sizeof x);
      ties.push_back(x);
    }
  }
  std::vector<uint16_t> narrow(ties.size()), wanted(ties.size());
  s.table.device.toF16(ties.data(), static_cast<int64_t>(ties.size()), narrow.data());
  s.scalar.device.toF16(ties.data(), static_cast<int64_t>(ties.size()), wanted.data());
  s.report.same("toF16 of ties", narrow.data(), wanted.data(), ties.size());
}

}  // namespace

void checkElementwise(const Subject& subject) {
  Random random(2);
  for (Sort sort : kSorts) {
    for (int32_t n : kLengths) {
      const std::string name = ", sort " + std::to_string(static_cast<int>(sort)) + ", n = " + std::to_string(n);
      checkNorms(subject, random, n, sort, name);
      checkActivations(subject, random, n, sort, name);
      checkSums(subject, random, n, sort, name);
      checkNarrowing(subject, random, n, sort, name);
    }
  }
  checkAllHalves(subject);
}

}  // namespace layerwise
