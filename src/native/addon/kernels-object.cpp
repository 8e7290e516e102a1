// NativeKernels: single kernels of the table on the calling thread, on copies of their arguments, for the twin tests.
#include <cmath>
#include <cstring>

#include "../engine/aligned-buffer.h"
#include "handle.h"
#include "weight-fields.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<EngineCore>;
using Call = Napi::CallbackInfo;

/** Sides and numbers of one call: these are tests, not work. */
constexpr int64_t kMostSide = 1 << 20, kMostNumbers = 1 << 28;

/** A new typed array with these numbers. */
template <class T>
Napi::Value arrayOf(Napi::Env env, const T* data, size_t length) {
  auto out = Napi::TypedArrayOf<T>::New(env, length, ArrayType<T>::type);
  if (length > 0) std::memcpy(out.Data(), data, length * sizeof(T));
  return out;
}

int32_t sizeOf(Napi::Env env, const Path& path, size_t length) {
  if (length == 0 || static_cast<int64_t>(length) > kMostNumbers) throwRangeError(env, path, "is empty or too long");
  return static_cast<int32_t>(length);
}

/** Argument `index`, an array of floats, and its length; `length` given: it must have that many. */
Elements<float> floats(const Call& info, size_t index, const char* name, int64_t length = -1) {
  return length < 0 ? elementsOf<float>(info[index], Path{name}) : elementsOf<float>(info[index], Path{name}, length);
}

/** What compute(out) makes of `length` numbers that begin as `from`. */
template <class T, class Compute>
Napi::Value made(Napi::Env env, size_t length, const T* from, Compute compute) {
  AlignedBuffer<T> out(length);
  if (from && length > 0) std::memcpy(out.data(), from, length * sizeof(T));
  compute(out.data());
  return arrayOf<T>(env, out.data(), length);
}

Napi::Value quantizeRows(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const auto rows = static_cast<int32_t>(integerOf(info[1], Path{"rows"}, 1, kMostSide));
  const auto cols = static_cast<int32_t>(integerOf(info[2], Path{"cols"}, 1, kMostSide));
  if (static_cast<int64_t>(rows) * cols > kMostNumbers) throwRangeError(env, Path{"rows"}, "times cols is too much");
  const auto x = floats(info, 0, "x", static_cast<int64_t>(rows) * cols);
  const size_t scales = static_cast<size_t>((cols + kChunkCols - 1) / kChunkCols) * rows;
  AlignedBuffer<int8_t> levels(scales * kChunkCols);
  AlignedBuffer<float> scale(scales);
  AlignedBuffer<int32_t> sums(scales);
  state->kernels.quantizeRows(x.data, cols, rows, cols, QuantizedRows{levels.data(), scale.data(), sums.data(), rows});
  Napi::Object out = Napi::Object::New(env);
  out.Set("levels", arrayOf(env, levels.data(), scales * kChunkCols));
  out.Set("scales", arrayOf(env, scale.data(), scales));
  out.Set("sums", arrayOf(env, sums.data(), scales));
  return out;
}

Napi::Value unpackRow(const Call& info, const State& state) {
  const PackedMatrix w = matrixOf(info[0], Path{"w"});
  const auto row = static_cast<int32_t>(integerOf(info[1], Path{"row"}, 0, w.rows - 1));
  return made<float>(info.Env(), static_cast<size_t>(w.cols), nullptr,
                     [&](float* out) { state->kernels.unpackRow(w, row, out); });
}

Napi::Value rmsNorm(const Call& info, const State& state) {
  const auto x = floats(info, 0, "x");
  const int32_t n = sizeOf(info.Env(), Path{"x"}, x.length);
  const auto weight = floats(info, 1, "weight", n);
  const auto eps = static_cast<float>(numberOf(info[2], Path{"eps"}));
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { state->kernels.rmsNorm(x.data, n, weight.data, eps, out); });
}

Napi::Value layerNorm(const Call& info, const State& state) {
  const auto x = floats(info, 0, "x");
  const int32_t n = sizeOf(info.Env(), Path{"x"}, x.length);
  const auto weight = floats(info, 1, "weight", n), bias = floats(info, 2, "bias", n);
  const auto eps = static_cast<float>(numberOf(info[3], Path{"eps"}));
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { state->kernels.layerNorm(x.data, n, weight.data, bias.data, eps, out); });
}

Napi::Value rotate(const Call& info, const State& state) {
  const auto x = floats(info, 0, "x");
  const int32_t dims = sizeOf(info.Env(), Path{"x"}, x.length);
  if (dims % 2 != 0) throwRangeError(info.Env(), Path{"x"}, "expected an even number of elements");
  const auto cos = floats(info, 1, "cos", dims / 2), sin = floats(info, 2, "sin", dims / 2);
  return made(info.Env(), x.length, x.data, [&](float* out) { state->kernels.rotate(out, dims, cos.data, sin.data); });
}

Napi::Value activate(const Call& info, const State& state) {
  const auto kind = choiceOf<Activation>(info[0], Path{"kind"});
  const auto x = floats(info, 1, "x");
  return made(info.Env(), x.length, x.data,
              [&](float* out) { state->kernels.activate(kind, out, static_cast<int64_t>(x.length)); });
}

Napi::Value activateGated(const Call& info, const State& state) {
  const auto kind = choiceOf<Activation>(info[0], Path{"kind"});
  const auto gate = floats(info, 1, "gate");
  const auto n = static_cast<int64_t>(gate.length);
  const auto up = floats(info, 2, "up", n);
  return made(info.Env(), gate.length, gate.data,
              [&](float* out) { state->kernels.activateGated(kind, out, up.data, n); });
}

Napi::Value toF16(const Call& info, const State& state) {
  const auto x = floats(info, 0, "x");
  return made<uint16_t>(info.Env(), x.length, nullptr,
                        [&](uint16_t* out) { state->kernels.toF16(x.data, static_cast<int64_t>(x.length), out); });
}

Napi::Value fromF16(const Call& info, const State& state) {
  const auto x = elementsOf<uint16_t>(info[0], Path{"x"});
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { state->kernels.fromF16(x.data, static_cast<int64_t>(x.length), out); });
}

Napi::Value attend(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const Path path{"options"}, queriesPath{"queries", &path}, keysPath{"keys", &path};
  const Napi::Object options = objectOf(info[0], path);
  const auto type = choiceOf<KvType>(options.Get("kvType"), Path{"kvType", &path});
  const auto headDim = static_cast<int32_t>(integerOf(options.Get("headDim"), Path{"headDim", &path}, 1, 1 << 14));
  // All getters run before the first pointer is taken.
  const Napi::Value given[] = {options.Get("queries"), options.Get("keys"), options.Get("values"),
                               options.Get("visibleFrom"), options.Get("visibleTo")};
  const auto queries = elementsFrom<float>(given[0], queriesPath, headDim);
  const auto keys = elementsFrom<float>(given[1], keysPath, headDim);
  const auto values = elementsOf<float>(given[2], Path{"values", &path}, static_cast<int64_t>(keys.length));
  const int32_t count = sizeOf(env, queriesPath, queries.length) / headDim;
  const int32_t positions = sizeOf(env, keysPath, keys.length) / headDim;
  if (queries.length % static_cast<size_t>(headDim) != 0)
    throwRangeError(env, queriesPath, "expected whole rows of headDim");
  if (keys.length % static_cast<size_t>(headDim) != 0) throwRangeError(env, keysPath, "expected whole rows of headDim");
  const auto from = elementsOf<int32_t>(given[3], Path{"visibleFrom", &path}, count);
  const auto to = elementsOf<int32_t>(given[4], Path{"visibleTo", &path}, count);
  for (int32_t i = 0; i < count; i++) {
    if (from.data[i] < 0 || to.data[i] > positions || from.data[i] >= to.data[i]) {
      throwRangeError(env, path, "visibleFrom and visibleTo: expected 0 <= from < to <= " + std::to_string(positions));
    }
  }

  const PageMemory memory;
  std::vector<Page> pages;
  std::vector<KvPage> views;
  for (int32_t first = 0; first < positions; first += kPagePositions) {
    pages.emplace_back(memory, PageShape{type, 1, headDim});
    for (int32_t slot = 0; slot < kPagePositions && first + slot < positions; slot++) {
      const int64_t at = static_cast<int64_t>(first + slot) * headDim;
      pages.back().write(state->kernels, slot, keys.data + at, values.data + at);
    }
    views.push_back(pages.back().head(0));
  }
  AlignedBuffer<float> output(queries.length), scratch(static_cast<size_t>(attendScratchFloats(headDim)));
  std::memset(output.data(), 0, queries.length * sizeof(float));
  std::vector<float> max(static_cast<size_t>(count), -INFINITY), sum(static_cast<size_t>(count), 0.0f);
  AttendRun run{};
  run.type = type;
  run.headDim = run.queryStride = headDim;
  run.queries = queries.data;
  run.count = count;
  run.visibleFrom = from.data;
  run.visibleTo = to.data;
  run.pages = views.data();
  run.pageCount = static_cast<int32_t>(views.size());
  run.scratch = scratch.data();
  state->kernels.attend(run, AttendState{max.data(), sum.data(), output.data(), headDim});
  for (size_t i = 0; i < queries.length; i++) output.data()[i] /= sum[i / static_cast<size_t>(headDim)];
  return arrayOf(env, output.data(), queries.length);
}

}  // namespace

Napi::Function defineKernels(Napi::Env env) {
  using Kernels = Handle<KernelsKind>;
  return Kernels::define(env, {Kernels::always<quantizeRows>("quantizeRows"), Kernels::always<unpackRow>("unpackRow"),
                               Kernels::always<rmsNorm>("rmsNorm"), Kernels::always<layerNorm>("layerNorm"),
                               Kernels::always<rotate>("rotate"), Kernels::always<activate>("activate"),
                               Kernels::always<activateGated>("activateGated"), Kernels::always<toF16>("toF16"),
                               Kernels::always<fromF16>("fromF16"), Kernels::always<attend>("attend")});
}

}  // namespace layerwise
