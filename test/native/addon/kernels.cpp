// An addon of the tests: single kernels of a table on the calling thread, on copies of their arguments. NativeKernels
// of test/native/kernels/tables.ts.
#include <cmath>
#include <cstring>

#include "../../../src/native/addon/addon-data.h"
#include "../../../src/native/addon/weight-fields.h"
#include "../../../src/native/engine/aligned-buffer.h"
#include "../../../src/native/kernels/cpu-features.h"
#include "../../../src/native/kernels/kernel-table.h"

namespace layerwise {

namespace {

using Call = Napi::CallbackInfo;

/** Sides and numbers of one call: these are tests, not work. */
constexpr int64_t kMostSide = 1 << 20, kMostNumbers = 1 << 28;

/** A new typed array with these numbers. */
template <class T>
Napi::Value arrayOf(Napi::Env env, const T* data, size_t length) {
  auto out = Napi::TypedArrayOf<T>::New(env, length, kArrayOf<T>.type);
  if (length > 0) std::memcpy(out.Data(), data, length * sizeof(T));
  return out;
}

int32_t sizeOf(const Path& path, size_t length) {
  if (length == 0 || static_cast<int64_t>(length) > kMostNumbers) refuse(path, "is empty or too long");
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

Napi::Value quantizeRows(const Call& info, const DeviceKernels& kernels) {
  const Napi::Env env = info.Env();
  const auto rows = static_cast<int32_t>(integerOf(info[1], Path{"rows"}, 1, kMostSide));
  const auto cols = static_cast<int32_t>(integerOf(info[2], Path{"cols"}, 1, kMostSide));
  if (static_cast<int64_t>(rows) * cols > kMostNumbers) refuse(Path{"rows"}, "times cols is too much");
  const auto x = floats(info, 0, "x", static_cast<int64_t>(rows) * cols);
  const size_t scales = static_cast<size_t>((cols + kChunkCols - 1) / kChunkCols) * rows;
  AlignedBuffer<int8_t> levels(scales * kChunkCols);
  AlignedBuffer<float> scale(scales);
  AlignedBuffer<int32_t> sums(scales);
  kernels.quantizeRows(x.data, cols, rows, cols, QuantizedRows{levels.data(), scale.data(), sums.data(), rows});
  Napi::Object out = Napi::Object::New(env);
  out.Set("levels", arrayOf(env, levels.data(), scales * kChunkCols));
  out.Set("scales", arrayOf(env, scale.data(), scales));
  out.Set("sums", arrayOf(env, sums.data(), scales));
  return out;
}

Napi::Value unpackRow(const Call& info, const DeviceKernels& kernels) {
  const PackedMatrix w = matrixOf(info[0], Path{"w"});
  const auto row = static_cast<int32_t>(integerOf(info[1], Path{"row"}, 0, w.rows - 1));
  return made<float>(info.Env(), static_cast<size_t>(w.cols), nullptr,
                     [&](float* out) { kernels.unpackRow(w, row, out); });
}

Napi::Value rmsNorm(const Call& info, const DeviceKernels& kernels) {
  const auto x = floats(info, 0, "x");
  const int32_t n = sizeOf(Path{"x"}, x.length);
  const auto weight = floats(info, 1, "weight", n);
  const auto eps = static_cast<float>(numberOf(info[2], Path{"eps"}));
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { kernels.rmsNorm(x.data, n, weight.data, eps, out); });
}

Napi::Value layerNorm(const Call& info, const DeviceKernels& kernels) {
  const auto x = floats(info, 0, "x");
  const int32_t n = sizeOf(Path{"x"}, x.length);
  const auto weight = floats(info, 1, "weight", n), bias = floats(info, 2, "bias", n);
  const auto eps = static_cast<float>(numberOf(info[3], Path{"eps"}));
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { kernels.layerNorm(x.data, n, weight.data, bias.data, eps, out); });
}

Napi::Value rotate(const Call& info, const DeviceKernels& kernels) {
  const auto x = floats(info, 0, "x");
  const int32_t dims = sizeOf(Path{"x"}, x.length);
  if (dims % 2 != 0) refuse(Path{"x"}, "expected an even number of elements");
  const auto cos = floats(info, 1, "cos", dims / 2), sin = floats(info, 2, "sin", dims / 2);
  return made(info.Env(), x.length, x.data, [&](float* out) { kernels.rotate(out, dims, cos.data, sin.data); });
}

Napi::Value activate(const Call& info, const DeviceKernels& kernels) {
  const auto kind = choiceOf<Activation>(info[0], Path{"kind"});
  const auto x = floats(info, 1, "x");
  return made(info.Env(), x.length, x.data,
              [&](float* out) { kernels.activate(kind, out, static_cast<int64_t>(x.length)); });
}

Napi::Value activateGated(const Call& info, const DeviceKernels& kernels) {
  const auto kind = choiceOf<Activation>(info[0], Path{"kind"});
  const auto gate = floats(info, 1, "gate");
  const auto n = static_cast<int64_t>(gate.length);
  const auto up = floats(info, 2, "up", n);
  return made(info.Env(), gate.length, gate.data,
              [&](float* out) { kernels.activateGated(kind, out, up.data, n); });
}

Napi::Value toF16(const Call& info, const DeviceKernels& kernels) {
  const auto x = floats(info, 0, "x");
  return made<uint16_t>(info.Env(), x.length, nullptr,
                        [&](uint16_t* out) { kernels.toF16(x.data, static_cast<int64_t>(x.length), out); });
}

Napi::Value fromF16(const Call& info, const DeviceKernels& kernels) {
  const auto x = elementsOf<uint16_t>(info[0], Path{"x"});
  return made<float>(info.Env(), x.length, nullptr,
                     [&](float* out) { kernels.fromF16(x.data, static_cast<int64_t>(x.length), out); });
}

Napi::Value attend(const Call& info, const DeviceKernels& kernels) {
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
  const int32_t count = sizeOf(queriesPath, queries.length) / headDim;
  const int32_t positions = sizeOf(keysPath, keys.length) / headDim;
  if (queries.length % static_cast<size_t>(headDim) != 0)
    refuse(queriesPath, "expected whole rows of headDim");
  if (keys.length % static_cast<size_t>(headDim) != 0) refuse(keysPath, "expected whole rows of headDim");
  const auto from = elementsOf<int32_t>(given[3], Path{"visibleFrom", &path}, count);
  const auto to = elementsOf<int32_t>(given[4], Path{"visibleTo", &path}, count);
  for (int32_t i = 0; i < count; i++) {
    if (from.data[i] < 0 || to.data[i] > positions || from.data[i] >= to.data[i]) {
      refuse(path, "visibleFrom and visibleTo: expected 0 <= from < to <= " + std::to_string(positions));
    }
  }

  const PageMemory memory;
  std::vector<Page> pages;
  std::vector<KvPage> views;
  for (int32_t first = 0; first < positions; first += kPagePositions) {
    pages.emplace_back(memory, PageShape{type, 1, headDim});
    for (int32_t slot = 0; slot < kPagePositions && first + slot < positions; slot++) {
      const int64_t at = static_cast<int64_t>(first + slot) * headDim;
      pages.back().write(kernels, slot, keys.data + at, values.data + at);
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
  kernels.attend(run, AttendState{max.data(), sum.data(), output.data(), headDim});
  for (size_t i = 0; i < queries.length; i++) output.data()[i] /= sum[i / static_cast<size_t>(headDim)];
  return arrayOf(env, output.data(), queries.length);
}

template <Napi::Value (*kFunction)(const Call&, const DeviceKernels&)>
void add(Napi::Object& to, const char* name, const DeviceKernels& kernels) {
  constexpr auto call = [](const Call& info) -> Napi::Value {
    const auto& table = *static_cast<const DeviceKernels*>(info.Data());
    return translated(info.Env(), [&] { return kFunction(info, table); });
  };
  to.Set(name, Napi::Function::New(to.Env(), call, name, const_cast<DeviceKernels*>(&kernels)));
}

/** kernelsOf(isa): the kernels of a table that this machine runs. */
Napi::Value kernelsOf(const Call& info) {
  const std::string isa = stringOf(info[0], Path{"isa"});
  int count;
  const KernelChoice* const choices = kernelChoices(&count);
  for (int i = 0; i < count; i++) {
    if (choices[i].unavailable || isa != choices[i].table->name) continue;
    const DeviceKernels& kernels = choices[i].table->device;
    Napi::Object out = Napi::Object::New(info.Env());
    add<quantizeRows>(out, "quantizeRows", kernels);
    add<unpackRow>(out, "unpackRow", kernels);
    add<rmsNorm>(out, "rmsNorm", kernels);
    add<layerNorm>(out, "layerNorm", kernels);
    add<rotate>(out, "rotate", kernels);
    add<activate>(out, "activate", kernels);
    add<activateGated>(out, "activateGated", kernels);
    add<toF16>(out, "toF16", kernels);
    add<fromF16>(out, "fromF16", kernels);
    add<attend>(out, "attend", kernels);
    return out;
  }
  throw std::runtime_error("no such table");
}

}  // namespace

}  // namespace layerwise

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new layerwise::AddonData(env));
  exports.Set("kernelsOf", Napi::Function::New(env, layerwise::kernelsOf, "kernelsOf"));
  return exports;
}

NODE_API_MODULE(layerwise_kernels, initialize)
