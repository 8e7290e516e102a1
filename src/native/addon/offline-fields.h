// Arguments of the offline maths. Sizes stay below 2^26 so that products of two of them are exact in every type used.
#pragma once
#include "../offline/call-check.h"
#include "../offline/offline.h"
#include "codec-fields.h"

namespace layerwise {

constexpr int64_t kMostRows = 1 << 26, kMostCols = 1 << 20;

/** Elements of arrays, by a call's sizes. */
constexpr auto kWhole = [](const auto& call) -> int64_t { return static_cast<int64_t>(call.rows) * call.cols; };
constexpr auto kRowEach = [](const auto& call) -> int64_t { return call.rows; };
constexpr auto kColEach = [](const auto& call) -> int64_t { return call.cols; };
constexpr auto kSquare = [](const auto& call) -> int64_t { return call.cols * call.cols; };
constexpr auto kGroupEach = [](const auto& call) -> int64_t {
  return call.rows * offline::groupsPerRow(call.cols, call.group);
};
constexpr auto kLevelEach = [](const auto& call) -> int64_t { return int64_t{1} << call.bits; };

template <class Call>
void readBits(Reader&, Napi::Value value, const Path& path, const Field<Call>&, Call& call) {
  call.bits = static_cast<int32_t>(integerOf(value, path, 2, 8));
  if (call.bits == 7) refuse(path, "expected 2, 3, 4, 5, 6 or 8, found 7");
}

/** Numbers from the first of so many stored rows to the end of the last. */
constexpr int64_t spanOf(int64_t rows, int64_t width, int64_t stride) { return (rows - 1) * stride + width; }

template <>
struct FieldsOf<offline::Gemm> {
  using Call = offline::Gemm;
  static constexpr const char* kType = "multiply";
  static constexpr auto kA = [](const Call& call) {
    return call.transposedA ? spanOf(call.k, call.m, call.stepA()) : spanOf(call.m, call.k, call.stepA());
  };
  static constexpr auto kB = [](const Call& call) {
    return call.transposedB ? spanOf(call.n, call.k, call.stepB()) : spanOf(call.k, call.n, call.stepB());
  };
  static constexpr auto kC = [](const Call& call) { return spanOf(call.m, call.n, call.stepC()); };
  static constexpr Field<Call> kTable[] = {
      field<&Call::m>("rows", 1, kMostRows),
      field<&Call::n>("cols", 1, kMostRows),
      field<&Call::k>("depth", 1, kMostRows),
      optional(field<&Call::transposedA>("transposedA")),
      optional(field<&Call::transposedB>("transposedB")),
      optional(field<&Call::accumulate>("accumulate")),
      optional(field<&Call::strideA>("strideA", 1, kMostRows)),
      optional(field<&Call::strideB>("strideB", 1, kMostRows)),
      optional(field<&Call::strideC>("strideC", 1, kMostRows)),
      field<&Call::a>("a", kA),
      field<&Call::b>("b", kB),
      field<&Call::c>("c", kC),
  };
  static void check(const Path& path, const Call& call) {
    const auto atLeast = [&path](const char* name, int64_t stride, int64_t width) {
      if (stride < width) refuse(Path{name, &path}, "expected no less than the length of a row");
    };
    atLeast("strideA", call.stepA(), call.transposedA ? call.m : call.k);
    atLeast("strideB", call.stepB(), call.transposedB ? call.k : call.n);
    atLeast("strideC", call.stepC(), call.n);
  }
};

template <>
struct FieldsOf<offline::Gptq> {
  using Call = offline::Gptq;
  static constexpr const char* kType = "gptq";
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows),
      field<&Call::cols>("cols", 1, kMostCols),
      {"bits", readBits<Call>},
      field<&Call::group>("group", 0, kMostRows),
      field<&Call::blockCols>("blockCols", 1, kMostRows),
      field<&Call::w>("w", kWhole),
      field<&Call::u>("u", kSquare),
      field<&Call::scales>("scales", kGroupEach),
      optional(field<&Call::minima>("minima", kGroupEach)),
      optional(field<&Call::levels>("levels", kLevelEach)),
      field<&Call::order>("order", kColEach),
      optional(field<&Call::keptCount>("keptCount", 0, kChunkCols)),
      optional(field<&Call::keptOf>("keptOf", 0, kChunkCols)),
      field<&Call::codes>("codes", kWhole),
  };
  static void check(const Path& path, const Call& call) {
    offline::checkLevels(path, call.levels, call.bits, call.minima != nullptr);
    offline::checkOrder(path, call.order, call.cols);
    offline::checkKept(path, call);
  }
};

template <>
struct FieldsOf<offline::ScaleSearch> {
  using Call = offline::ScaleSearch;
  static constexpr const char* kType = "searchScales";
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows),
      field<&Call::cols>("cols", 1, kMostRows),
      {"bits", readBits<Call>},
      field<&Call::group>("group", 0, kMostRows),
      field<&Call::asymmetric>("asymmetric"),
      field<&Call::w>("w", kWhole),
      field<&Call::codes>("codes", kWhole),
      field<&Call::scales>("scales", kGroupEach),
      optional(field<&Call::twoLevel>("twoLevel")),
      field<&Call::weights>("weights", kColEach),
      optional(field<&Call::levels>("levels", kLevelEach)),
      optional(field<&Call::rowScales>("rowScales", kRowEach)),
      field<&Call::minima>("minima", [](const Call& call) { return call.asymmetric ? kGroupEach(call) : kNotTaken; }),
      field<&Call::rowMinima>(
          "rowMinima", [](const Call& call) { return call.asymmetric && call.rowScales ? call.rows : kNotTaken; }),
  };
  static void check(const Path& path, const Call& call) {
    offline::checkLevels(path, call.levels, call.bits, call.asymmetric);
  }
};

template <>
struct FieldsOf<offline::Refine> {
  using Call = offline::Refine;
  static constexpr const char* kType = "refine";
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows),
      field<&Call::cols>("cols", 1, kMostCols),
      {"bits", readBits<Call>},
      field<&Call::group>("group", 0, kMostRows),
      field<&Call::damping>("damping"),
      field<&Call::passes>("passes", 0, 1000),
      field<&Call::w>("w", kWhole),
      field<&Call::gram>("gram", kSquare),
      field<&Call::scales>("scales", kGroupEach),
      optional(field<&Call::minima>("minima", kGroupEach)),
      optional(field<&Call::levels>("levels", kLevelEach)),
      optional(field<&Call::rowScales>("rowScales", kRowEach)),
      field<&Call::rowMinima>("rowMinima",
                              [](const Call& call) { return call.rowScales && call.minima ? call.rows : kNotTaken; }),
      optional(field<&Call::zerosStay>("zerosStay")),
      field<&Call::codes>("codes", kWhole),
  };
  static void check(const Path& path, const Call& call) {
    offline::checkLevels(path, call.levels, call.bits, call.minima != nullptr);
  }
};

template <>
struct FieldsOf<offline::GroupRemoval> {
  using Call = offline::GroupRemoval;
  static constexpr const char* kType = "takeGroups";
  static constexpr auto kTakenEach = [](const Call& call) { return call.count; };
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows),      field<&Call::cols>("cols", 1, kMostCols),
      field<&Call::size>("size", 1, kMostCols),      field<&Call::count>("count", 1, kMostCols),
      field<&Call::damping>("damping"),              field<&Call::weights>("weights", kWhole),
      field<&Call::factor>("factor", kSquare),       field<&Call::order>("order", kColEach),
      field<&Call::taken>("taken", kTakenEach),      field<&Call::costs>("costs", kTakenEach),
  };
  static void check(const Path& path, const Call& call) {
    offline::checkOrder(path, call.order, call.cols);
    offline::checkGroups(path, call);
  }
};

template <>
struct FieldsOf<offline::HessianError> {
  using Call = offline::HessianError;
  static constexpr const char* kType = "hessianError";
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows), field<&Call::cols>("cols", 1, kMostCols), field<&Call::w>("w", kWhole),
      field<&Call::values>("values", kWhole),   field<&Call::gram>("gram", kSquare),
  };
};

template <>
struct FieldsOf<offline::RowComparison> {
  using Call = offline::RowComparison;
  static constexpr const char* kType = "compareRows";
  static constexpr auto kLogits = [](const Call& call) { return call.rows * call.vocab; };
  static constexpr auto kBeside = [](const Call& call) { return call.reference ? call.rows : kNotTaken; };
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, kMostRows),
      field<&Call::vocab>("vocab", 1, (1 << 24) - 1),
      field<&Call::logits>("logits", kLogits),
      optional(field<&Call::reference>("reference", kLogits)),
      field<&Call::logSumExps>("logSumExps", kRowEach),
      field<&Call::argmaxes>("argmaxes", kRowEach),
      field<&Call::referenceLogSumExps>("referenceLogSumExps", kBeside),
      field<&Call::referenceArgmaxes>("referenceArgmaxes", kBeside),
      field<&Call::divergences>("divergences", kBeside),
      field<&Call::ranks>("ranks", kBeside),
  };
};

template <>
struct FieldsOf<offline::PackCall> {
  using Call = offline::PackCall;
  static constexpr const char* kType = "pack";
  /** Elements where the codec has integers and all that is asked for. */
  template <bool kMinima, bool kRows>
  static int64_t scalesOf(const Call& call) {
    const CodecForm& form = call.form;
    if (!isInteger(form.kind) || (kMinima && !form.asymmetric) || (kRows && !form.twoLevel)) return kNotTaken;
    return kRows ? call.rows : call.rows * offline::groupsPerRow(call.cols, form.group);
  }
  static constexpr Field<Call> kTable[] = {
      field<&Call::rows>("rows", 1, INT32_MAX),
      field<&Call::cols>("cols", 1, 1 << 22),
      field<&Call::codes>("codes",
                          [](const Call& call) { return isInteger(call.form.kind) ? kWhole(call) : kNotTaken; }),
      field<&Call::scales>("scales", scalesOf<false, false>),
      field<&Call::minima>("minima", scalesOf<true, false>),
      field<&Call::rowScales>("rowScales", scalesOf<false, true>),
      field<&Call::rowMinima>("rowMinima", scalesOf<true, true>),
      field<&Call::values>("values",
                           [](const Call& call) { return isInteger(call.form.kind) ? kNotTaken : kWhole(call); }),
  };
};

}  // namespace layerwise
