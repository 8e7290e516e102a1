// Each method runs one kernel of the table on copies of its arguments.
#include "kernels-object.h"

#include <cmath>
#include <cstring>

#include "aligned-buffer.h"
#include "weights.h"

namespace layerwise {

const napi_type_tag KernelsObject::kTag = {0x6c617965722d6b65ULL, 0x726e656c732d3031ULL};

namespace {

constexpr int64_t kMaxRows = 1 << 20;
/** Numbers of one call: these are tests, not work. */
constexpr int64_t kMaxNumbers = 1 << 28;

/** A new typed array with these numbers. */
template <class Array, class T>
Napi::Value arrayOf(Napi::Env env, const T* data, size_t length) {
  Array out = Array::New(env, length);
  if (length > 0) std::memcpy(out.Data(), data, length * sizeof(T));
  return out;
}

int32_t sizeOf(Napi::Env env, const Path& path, size_t length) {
  if (length == 0 || static_cast<int64_t>(length) > kMaxNumbers) throwRangeError(env, path, "is empty or too long");
  return static_cast<int32_t>(length);
}

}  // namespace

Napi::Function KernelsObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceMethod<&KernelsObject::quantizeRows>("quantizeRows"),
       InstanceMethod<&KernelsObject::unpackRow>("unpackRow"), InstanceMethod<&KernelsObject::rmsNorm>("rmsNorm"),
       InstanceMethod<&KernelsObject::layerNorm>("layerNorm"), InstanceMethod<&KernelsObject::rotate>("rotate"),
       InstanceMethod<&KernelsObject::activate>("activate"),
       InstanceMethod<&KernelsObject::activateGated>("activateGated"), InstanceMethod<&KernelsObject::toF16>("toF16"),
       InstanceMethod<&KernelsObject::fromF16>("fromF16"), InstanceMethod<&KernelsObject::attend>("attend")});
}

Napi::Value KernelsObject::quantizeRows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto rows = static_cast<int32_t>(integerOf(info[1], Path{"rows"}, 1, kMaxRows));
  const auto cols = static_cast<int32_t>(integerOf(info[2], Path{"cols"}, 1, kMaxRows));
  if (static_cast<int64_t>(rows) * cols > kMaxNumbers) throwRangeError(env, Path{"rows"}, "times cols is too much");
  const auto x = elementsOf<float>(info[0], Path{"x"}, static_cast<int64_t>(rows) * cols);
  const size_t scales = static_cast<size_t>((cols + kChunkCols - 1) / kChunkCols) * rows;
  AlignedBuffer<int8_t> levels(scales * kChunkCols);
  AlignedBuffer<float> scale(scales);
  AlignedBuffer<int32_t> sums(scales);
  state_->kernels.quantizeRows(x.data, cols, rows, cols, QuantizedRows{levels.data(), scale.data(), sums.data(), rows});
  Napi::Object out = Napi::Object::New(env);
  out.Set("levels", arrayOf<Napi::Int8Array>(env, levels.data(), scales * kChunkCols));
  out.Set("scales", arrayOf<Napi::Float32Array>(env, scale.data(), scales));
  out.Set("sums", arrayOf<Napi::Int32Array>(env, sums.data(), scales));
  return out;
}

Napi::Value KernelsObject::unpackRow(const Napi::CallbackInfo& info) {
  const PackedMatrix w = matrixOf(info[0], Path{"w"});
  const auto row = static_cast<int32_t>(integerOf(info[1], Path{"row"}, 0, w.rows - 1));
  AlignedBuffer<float> out(static_cast<size_t>(w.cols));
  state_->kernels.unpackRow(w, row, out.data());
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), static_cast<size_t>(w.cols));
}

Napi::Value KernelsObject::rmsNorm(const Napi::CallbackInfo& info) {
  const auto x = elementsOf<float>(info[0], Path{"x"});
  const int32_t n = sizeOf(info.Env(), Path{"x"}, x.length);
  const auto weight = elementsOf<float>(info[1], Path{"weight"}, n);
  const auto eps = static_cast<float>(numberOf(info[2], Path{"eps"}));
  AlignedBuffer<float> out(x.length);
  state_->kernels.rmsNorm(x.data, n, weight.data, eps, out.data());
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::layerNorm(const Napi::CallbackInfo& info) {
  const auto x = elementsOf<float>(info[0], Path{"x"});
  const int32_t n = sizeOf(info.Env(), Path{"x"}, x.length);
  const auto weight = elementsOf<float>(info[1], Path{"weight"}, n);
  const auto bias = elementsOf<float>(info[2], Path{"bias"}, n);
  const auto eps = static_cast<float>(numberOf(info[3], Path{"eps"}));
  AlignedBuffer<float> out(x.length);
  state_->kernels.layerNorm(x.data, n, weight.data, bias.data, eps, out.data());
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::rotate(const Napi::CallbackInfo& info) {
  const auto x = elementsOf<float>(info[0], Path{"x"});
  const int32_t dims = sizeOf(info.Env(), Path{"x"}, x.length);
  if (dims % 2 != 0) throwRangeError(info.Env(), Path{"x"}, "expected an even number of elements");
  const auto cos = elementsOf<float>(info[1], Path{"cos"}, dims / 2);
  const auto sin = elementsOf<float>(info[2], Path{"sin"}, dims / 2);
  AlignedBuffer<float> out(x.length);
  std::memcpy(out.data(), x.data, x.length * sizeof(float));
  state_->kernels.rotate(out.data(), dims, cos.data, sin.data);
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::activate(const Napi::CallbackInfo& info) {
  const Activation kind = activationOf(info[0], Path{"kind"});
  const auto x = elementsOf<float>(info[1], Path{"x"});
  AlignedBuffer<float> out(x.length);
  if (x.length > 0) std::memcpy(out.data(), x.data, x.length * sizeof(float));
  state_->kernels.activate(kind, out.data(), static_cast<int64_t>(x.length));
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::activateGated(const Napi::CallbackInfo& info) {
  const Activation kind = activationOf(info[0], Path{"kind"});
  const auto gate = elementsOf<float>(info[1], Path{"gate"});
  const auto up = elementsOf<float>(info[2], Path{"up"}, static_cast<int64_t>(gate.length));
  AlignedBuffer<float> out(gate.length);
  if (gate.length > 0) std::memcpy(out.data(), gate.data, gate.length * sizeof(float));
  state_->kernels.activateGated(kind, out.data(), up.data, static_cast<int64_t>(gate.length));
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), gate.length);
}

Napi::Value KernelsObject::toF16(const Napi::CallbackInfo& info) {
  const auto x = elementsOf<float>(info[0], Path{"x"});
  AlignedBuffer<uint16_t> out(x.length);
  state_->kernels.toF16(x.data, static_cast<int64_t>(x.length), out.data());
  return arrayOf<Napi::Uint16Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::fromF16(const Napi::CallbackInfo& info) {
  const auto x = elementsOf<uint16_t>(info[0], Path{"x"});
  AlignedBuffer<float> out(x.length);
  state_->kernels.fromF16(x.data, static_cast<int64_t>(x.length), out.data());
  return arrayOf<Napi::Float32Array>(info.Env(), out.data(), x.length);
}

Napi::Value KernelsObject::attend(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"options"}, queriesPath{"queries", &path}, keysPath{"keys", &path};
  const Napi::Object options = objectOf(info[0], path);
  const KvType type = kvTypeOf(options.Get("kvType"), Path{"kvType", &path});
  const auto headDim = static_cast<int32_t>(integerField(options, path, "headDim", 1, 1 << 14));
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
      pages.back().write(state_->kernels, slot, keys.data + at, values.data + at);
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
  state_->kernels.attend(run, AttendState{max.data(), sum.data(), output.data(), headDim});
  for (size_t i = 0; i < queries.length; i++) output.data()[i] /= sum[i / static_cast<size_t>(headDim)];
  return arrayOf<Napi::Float32Array>(env, output.data(), queries.length);
}

}  // namespace layerwise
