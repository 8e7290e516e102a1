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

OfflineCall<offline::Gemm> gemmOf(const Napi::CallbackInfo& info) {
  const Path path{"options"};
  const Napi::Object object = objectOf(info[0], path);
  OfflineCall<offline::Gemm> out{};
  offline::Gemm& call = out.call;
  call.m = integerField(object, path, "m", 1, kMaxSize);
  call.n = integerField(object, path, "n", 1, kMaxSize);
  call.k = integerField(object, path, "k", 1, kMaxSize);
  call.transposeA = flagField(object, path, "transposeA");
  call.transposeB = flagField(object, path, "transposeB");
  call.accumulate = flagField(object, path, "accumulate");
  Arrays<offline::Gemm> arrays(object, path, &out);
  call.a = arrays.take<float>("a", call.m * call.k, false);
  call.b = arrays.take<float>("b", call.k * call.n, false);
  call.c = arrays.take<float>("c", call.m * call.n, true);
  return out;
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
  if (call.asymmetric) call.minima = arrays.take<float>("minima", call.rows * groups, true);
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
