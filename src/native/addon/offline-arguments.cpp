// Sizes stay below 2^26 so that products of two of them are exact in every type used.
#include "offline-arguments.h"

#include "weights.h"

namespace layerwise {

namespace {

constexpr int64_t kMaxSize = 1 << 26;

bool flagField(const Napi::Object& object, const Path& path, const char* name) {
  const Napi::Value value = object.Get(name);
  return !isAbsent(value) && booleanOf(value, Path{name, &path});
}

int32_t bitsField(const Napi::Object& object, const Path& path) {
  const auto bits = static_cast<int32_t>(integerField(object, path, "bits", 2, 8));
  if (bits == 7) throwRangeError(object.Env(), Path{"bits", &path}, "expected 2, 3, 4, 5, 6 or 8, found 7");
  return bits;
}

/** Arrays of a call that must not overlap: each element one of them is written. */
template <class Call>
struct Arrays {
  Arrays(const Napi::Object& object, const Path& path, OfflineCall<Call>* out) : object(object), path(path), out(out) {}

  template <class T>
  T* take(const char* name, int64_t length, bool written) {
    const Napi::Value value = object.Get(name);
    const auto found = elementsOf<T>(value, Path{name, &path}, length);
    const auto from = reinterpret_cast<uintptr_t>(found.data), to = from + found.length * sizeof(T);
    for (const Range& other : ranges) {
      if ((written || other.written) && from < other.to && other.from < to) {
        throwRangeError(object.Env(), Path{name, &path}, "overlaps another array of the call");
      }
    }
    ranges.push_back({from, to, written});
    out->arrays.emplace_back(value, found.data);
    return found.data;
  }

  /** Null where the field is null or missing. */
  template <class T>
  T* takeMaybe(const char* name, int64_t length, bool written) {
    return isAbsent(object.Get(name)) ? nullptr : take<T>(name, length, written);
  }

  struct Range {
    uintptr_t from, to;
    bool written;
  };
  const Napi::Object& object;
  const Path& path;
  OfflineCall<Call>* out;
  std::vector<Range> ranges;
};

/** The table of levels for `bits`, ascending; null where there is none. */
template <class Call>
const int8_t* takeLevels(Arrays<Call>* arrays, int32_t bits, bool asymmetric) {
  const int64_t count = int64_t{1} << bits;
  const int8_t* levels = arrays->template takeMaybe<int8_t>("levels", count, false);
  const Path path{"levels", &arrays->path};
  if (levels && (asymmetric || bits == 8)) throwRangeError(arrays->object.Env(), path, "expected none for this codec");
  for (int64_t i = 1; levels && i < count; i++) {
    if (levels[i] <= levels[i - 1] || levels[0] >= 0) {
      throwRangeError(arrays->object.Env(), path, "expected levels that rise from a negative one");
    }
  }
  return levels;
}

/** Every column exactly once. */
void requirePermutation(Napi::Env env, const Path& path, const int32_t* order, int64_t cols) {
  std::vector<bool> seen(static_cast<size_t>(cols), false);
  for (int64_t i = 0; i < cols; i++) {
    const int32_t column = order[i];
    if (column < 0 || column >= cols || seen[static_cast<size_t>(column)]) {
      throwRangeError(env, Path{nullptr, &path, i}, "expected every column once, found " + std::to_string(column));
    }
    seen[static_cast<size_t>(column)] = true;
  }
}

}  // namespace

void requireInPlace(Napi::Value array, const void* data) {
  void* now = nullptr;
  if (napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &now, nullptr, nullptr) != napi_ok ||
      now != data) {
    throw Napi::TypeError::New(array.Env(), "an array of the call was detached while its arguments were read");
  }
}

OfflineCall<GramCall> gramOf(const Napi::CallbackInfo& info) {
  OfflineCall<GramCall> out{};
  GramCall& call = out.call;
  call.rows = integerOf(info[1], Path{"rows"}, 1, kMaxSize);
  call.cols = integerOf(info[2], Path{"cols"}, 1, kMaxSize);
  call.factor = static_cast<float>(numberOf(info[3], Path{"factor"}));
  const auto x = elementsOf<float>(info[0], Path{"x"}, call.rows * call.cols);
  const auto h = elementsOf<float>(info[4], Path{"h"}, call.cols * call.cols);
  refuseOverlap(info.Env(), Path{"h"}, x, h, false);
  call.x = x.data;
  call.h = h.data;
  out.arrays = {{info[0], x.data}, {info[4], h.data}};
  return out;
}

OfflineCall<SquareCall> squareOf(const Napi::CallbackInfo& info, const char* name) {
  OfflineCall<SquareCall> out{};
  out.call.n = integerOf(info[1], Path{"n"}, 1, 1 << 20);
  out.call.a = elementsOf<double>(info[0], Path{name}, out.call.n * out.call.n).data;
  out.arrays = {{info[0], out.call.a}};
  return out;
}

OfflineCall<offline::Gptq> gptqOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<offline::Gptq> out{};
  offline::Gptq& call = out.call;
  call.rows = integerField(object, path, "rows", 1, kMaxSize);
  call.cols = integerField(object, path, "cols", 1, 1 << 20);
  call.bits = bitsField(object, path);
  call.group = integerField(object, path, "group", 0, kMaxSize);
  call.blockCols = integerField(object, path, "blockCols", 1, kMaxSize);
  const int64_t groups = offline::groupsPerRow(call.cols, call.group);
  Arrays<offline::Gptq> arrays(object, path, &out);
  call.w = arrays.take<float>("w", call.rows * call.cols, true);
  call.u = arrays.take<double>("u", call.cols * call.cols, false);
  call.scales = arrays.take<float>("scales", call.rows * groups, false);
  call.minima = arrays.takeMaybe<float>("minima", call.rows * groups, false);
  call.levels = takeLevels(&arrays, call.bits, call.minima != nullptr);
  call.order = arrays.take<int32_t>("order", call.cols, false);
  call.codes = arrays.take<uint8_t>("codes", call.rows * call.cols, true);
  requirePermutation(info.Env(), Path{"order", &path}, call.order, call.cols);
  return out;
}

OfflineCall<offline::ScaleSearch> scaleSearchOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<offline::ScaleSearch> out{};
  offline::ScaleSearch& call = out.call;
  call.rows = integerField(object, path, "rows", 1, kMaxSize);
  call.cols = integerField(object, path, "cols", 1, kMaxSize);
  call.bits = bitsField(object, path);
  call.group = integerField(object, path, "group", 0, kMaxSize);
  call.asymmetric = booleanField(object, path, "asymmetric");
  const int64_t groups = offline::groupsPerRow(call.cols, call.group);
  Arrays<offline::ScaleSearch> arrays(object, path, &out);
  call.w = arrays.take<float>("w", call.rows * call.cols, false);
  call.codes = arrays.take<uint8_t>("codes", call.rows * call.cols, true);
  call.scales = arrays.take<float>("scales", call.rows * groups, true);
  call.twoLevel = flagField(object, path, "twoLevel");
  call.weights = arrays.take<float>("weights", call.cols, false);
  call.levels = takeLevels(&arrays, call.bits, call.asymmetric);
  call.rowScales = arrays.takeMaybe<float>("rowScales", call.rows, false);
  if (call.asymmetric) {
    call.minima = arrays.take<float>("minima", call.rows * groups, true);
    if (call.rowScales) call.rowMinima = arrays.take<float>("rowMinima", call.rows, false);
  }
  return out;
}

OfflineCall<offline::Refine> refineOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<offline::Refine> out{};
  offline::Refine& call = out.call;
  call.rows = integerField(object, path, "rows", 1, kMaxSize);
  call.cols = integerField(object, path, "cols", 1, 1 << 20);
  call.bits = bitsField(object, path);
  call.group = integerField(object, path, "group", 0, kMaxSize);
  call.damping = numberField(object, path, "damping");
  call.passes = static_cast<int32_t>(integerField(object, path, "passes", 0, 1000));
  const int64_t groups = offline::groupsPerRow(call.cols, call.group);
  Arrays<offline::Refine> arrays(object, path, &out);
  call.w = arrays.take<float>("w", call.rows * call.cols, false);
  call.gram = arrays.take<float>("gram", call.cols * call.cols, false);
  call.scales = arrays.take<float>("scales", call.rows * groups, true);
  call.minima = arrays.takeMaybe<float>("minima", call.rows * groups, true);
  call.levels = takeLevels(&arrays, call.bits, call.minima != nullptr);
  call.rowScales = arrays.takeMaybe<float>("rowScales", call.rows, false);
  if (call.rowScales && call.minima) call.rowMinima = arrays.take<float>("rowMinima", call.rows, false);
  call.codes = arrays.take<uint8_t>("codes", call.rows * call.cols, true);
  return out;
}

OfflineCall<HessianErrorCall> hessianErrorOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<HessianErrorCall> out{};
  HessianErrorCall& call = out.call;
  call.rows = integerField(object, path, "rows", 1, kMaxSize);
  call.cols = integerField(object, path, "cols", 1, 1 << 20);
  Arrays<HessianErrorCall> arrays(object, path, &out);
  call.w = arrays.take<float>("w", call.rows * call.cols, false);
  call.values = arrays.take<float>("values", call.rows * call.cols, false);
  call.gram = arrays.take<float>("gram", call.cols * call.cols, false);
  return out;
}

OfflineCall<offline::RowComparison> rowComparisonOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<offline::RowComparison> out{};
  offline::RowComparison& call = out.call;
  call.rows = integerField(object, path, "rows", 1, kMaxSize);
  call.vocab = integerField(object, path, "vocab", 1, (1 << 24) - 1);
  Arrays<offline::RowComparison> arrays(object, path, &out);
  call.logits = arrays.take<float>("logits", call.rows * call.vocab, false);
  call.reference = arrays.takeMaybe<float>("reference", call.rows * call.vocab, false);
  call.logSumExps = arrays.take<double>("logSumExps", call.rows, true);
  call.argmaxes = arrays.take<int32_t>("argmaxes", call.rows, true);
  if (call.reference) {
    call.referenceLogSumExps = arrays.take<double>("referenceLogSumExps", call.rows, true);
    call.referenceArgmaxes = arrays.take<int32_t>("referenceArgmaxes", call.rows, true);
    call.divergences = arrays.take<double>("divergences", call.rows, true);
    call.ranks = arrays.take<int32_t>("ranks", call.rows, true);
  }
  return out;
}

OfflineCall<offline::PackCall> packOf(const Napi::CallbackInfo& info) {
  const Path formPath{"form"}, path{"numbers"}, outPath{"out"};
  OfflineCall<offline::PackCall> out{};
  offline::PackCall& call = out.call;
  call.form = codecFormOf(objectOf(info[0], formPath), formPath);
  const Napi::Object object = objectOf(info[1], path);
  call.rows = static_cast<int32_t>(integerField(object, path, "rows", 1, INT32_MAX));
  call.cols = static_cast<int32_t>(integerField(object, path, "cols", 1, 1 << 22));
  const int64_t numbers = static_cast<int64_t>(call.rows) * call.cols;
  const int64_t scales = call.rows * offline::groupsPerRow(call.cols, call.form.group);
  Arrays<offline::PackCall> arrays(object, path, &out);
  if (isInteger(call.form.kind)) {
    call.codes = arrays.take<uint8_t>("codes", numbers, false);
    call.scales = arrays.take<float>("scales", scales, false);
    if (call.form.asymmetric) call.minima = arrays.take<float>("minima", scales, false);
    if (call.form.twoLevel) call.rowScales = arrays.take<float>("rowScales", call.rows, false);
    if (call.form.twoLevel && call.form.asymmetric) call.rowMinima = arrays.take<float>("rowMinima", call.rows, false);
  } else {
    call.values = arrays.take<float>("values", numbers, false);
  }
  const auto bytes = elementsOf<uint8_t>(info[2], outPath, packedBytes(call.form, call.rows, call.cols));
  const auto from = reinterpret_cast<uintptr_t>(bytes.data);
  if (from % 4 != 0) throwRangeError(info.Env(), outPath, "must begin at a multiple of 4 bytes");
  for (const auto& other : arrays.ranges) {
    if (from < other.to && other.from < from + bytes.length) {
      throwRangeError(info.Env(), outPath, "overlaps another array of the call");
    }
  }
  call.out = bytes.data;
  out.arrays.emplace_back(info[2], bytes.data);
  return out;
}

}  // namespace layerwise
