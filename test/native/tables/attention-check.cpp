// Attention over a few pages in every storage type: any number of queries, partly seen pages, garbage in what is not
// seen.
#include "random-inputs.h"
#include "table-checks.h"

namespace layerwise {
namespace {

constexpr int kPages = 3;
constexpr int32_t kFirst = 128;

/** Pages of one head: every byte random where `garbage` reaches, so NaNs and infinities too. */
struct Pages {
  std::vector<std::vector<uint8_t>> keys, values;
  std::vector<std::vector<float>> keyScales, valueScales;
  std::vector<KvPage> pages;
};

size_t bytesOf(KvType type) { return type == KvType::F32 ? 4 : type == KvType::F16 ? 2 : 1; }

void putNumber(Random& random, KvType type, uint8_t* at, bool garbage) {
  const uint32_t any = static_cast<uint32_t>(random.bits());
  const float x = numberOf(random, Sort::Plain);
  const uint16_t half = garbage ? static_cast<uint16_t>(any) : randomHalf(random, false);
  if (type == KvType::F32) memcpy(at, garbage ? static_cast<const void*>(&any) : &x, 4);
  if (type == KvType::F16) memcpy(at, &half, 2);
  if (type == KvType::Q8) *at = static_cast<uint8_t>(any);
}

/** Positions from `end` (of all pages) on are garbage. */
Pages randomPages(Random& random, KvType type, int32_t headDim, int32_t end) {
  Pages out;
  const size_t size = bytesOf(type), count = static_cast<size_t>(headDim * kPagePositions);
  for (int p = 0; p < kPages; p++) {
    std::vector<uint8_t> keys(count * size), values(count * size);
    for (int j = 0; j < kPagePositions; j++) {
      const bool garbage = p * kPagePositions + j >= end;
      for (int c = 0; c < headDim; c++) {
        putNumber(random, type, keys.data() + static_cast<size_t>(c * kPagePositions + j) * size, garbage);
        putNumber(random, type, values.data() + static_cast<size_t>(j * headDim + c) * size, garbage);
      }
    }
    out.keys.push_back(keys);
    out.values.push_back(values);
    out.keyScales.push_back(numbers(random, kPagePositions));
    out.valueScales.push_back(numbers(random, kPagePositions));
  }
  for (size_t p = 0; p < kPages; p++) {
    out.pages.push_back({out.keys[p].data(), out.values[p].data(), out.keyScales[p].data(), out.valueScales[p].data()});
  }
  return out;
}

/** The states of some queries, as they begin. */
struct States {
  std::vector<float> max, sum, output;

  States(int32_t count, int32_t headDim)
      : max(static_cast<size_t>(count), -INFINITY), sum(max.size(), 0),
        output(max.size() * static_cast<size_t>(headDim + 5), 0) {}

  AttendState view(int32_t headDim) { return {max.data(), sum.data(), output.data(), headDim + 5}; }
};

void compareStates(const Subject& s, const std::string& name, const States& found, const States& expected) {
  s.report.same("attend max, " + name, found.max.data(), expected.max.data(), expected.max.size());
  s.report.same("attend sum, " + name, found.sum.data(), expected.sum.data(), expected.sum.size());
  s.report.same("attend output, " + name, found.output.data(), expected.output.data(), expected.output.size());
}

void checkRun(const Subject& s, Random& random, KvType type, int32_t headDim, int32_t count) {
  const std::string name = "kv " + std::to_string(static_cast<int>(type)) + ", headDim " + std::to_string(headDim) +
                           ", " + std::to_string(count) + " queries";
  const int32_t end = 100 + random.below(90);
  const Pages pages = randomPages(random, type, headDim, end);
  const std::vector<float> queries = numbers(random, static_cast<size_t>(count * (headDim + 2)));
  std::vector<int32_t> from, to;
  for (int32_t i = 0; i < count; i++) {
    from.push_back(random.below(2) ? 0 : kFirst + random.below(end));
    to.push_back(kFirst + 1 + random.below(end));
  }
  Guarded<float> scratch(static_cast<size_t>(attendScratchFloats(headDim)), 0x5a);
  States found(count, headDim), expected(count, headDim);
  // All pages in two calls: the second goes on from the first's states.
  for (int part = 0; part < 2; part++) {
    const int firstPage = part == 0 ? 0 : 2;
    const AttendRun run = {type,         headDim,  queries.data(),           headDim + 2,          count,
                           from.data(),  to.data(), pages.pages.data() + firstPage, part == 0 ? 2 : 1,
                           part == 0 ? &pages.pages[2] : nullptr, kFirst + firstPage * kPagePositions, scratch.data()};
    s.table.device.attend(run, found.view(headDim));
    s.scalar.device.attend(run, expected.view(headDim));
  }
  compareStates(s, name, found, expected);
  if (scratch.overrun()) s.report.fail("attend overruns its scratch, " + name);
}

void checkMerging(const Subject& s, Random& random, int32_t headDim) {
  const size_t dims = static_cast<size_t>(headDim);
  const float maxima[] = {-INFINITY, -3.0f, 0.5f, 60.0f};
  for (float max : maxima) {
    for (float laterMax : maxima) {
      const std::vector<float> later = numbers(random, dims);
      std::vector<float> found = numbers(random, dims), expected = found;
      float foundMax = max, expectedMax = max, foundSum = max == -INFINITY ? 0.0f : 2.5f, expectedSum = foundSum;
      const float laterSum = laterMax == -INFINITY ? 0.0f : 1.25f;
      s.table.device.mergeStates(headDim, &foundMax, &foundSum, found.data(), laterMax, laterSum, later.data());
      s.scalar.device.mergeStates(headDim, &expectedMax, &expectedSum, expected.data(), laterMax, laterSum,
                                  later.data());
      s.report.same("mergeStates max", &foundMax, &expectedMax, 1);
      s.report.same("mergeStates sum", &foundSum, &expectedSum, 1);
      s.report.same("mergeStates output", found.data(), expected.data(), dims);
    }
  }
}

}  // namespace

void checkAttention(const Subject& subject) {
  Random random(3);
  for (int32_t headDim : {1, 8, 20, 64, 80, 96}) {
    for (KvType type : {KvType::F32, KvType::F16, KvType::Q8}) {
      for (int32_t count : {1, 2, 3, 4, 7, 13, 70}) {
        if (subject.quick && headDim > 64 && count != 3) continue;
        checkRun(subject, random, type, headDim, count);
      }
    }
    checkMerging(subject, random, headDim);
  }
}

}  // namespace layerwise
