// What the addon exports: NativeAddon of addon.ts.
#include <napi.h>

#include "../engine/signal-end.h"
#include "../kernels/cpu-features.h"
#include "handle.h"
#include "memory.h"
#include "offline-fields.h"
#include "pass-fields.h"
#include "stream-fields.h"
#include "weight-fields.h"

#ifndef LAYERWISE_VERSION
#error "LAYERWISE_VERSION is the version of the package, as a string"
#endif

namespace layerwise {

namespace {

Napi::Value isasOf(Napi::Env env) {
  int count;
  const KernelChoice* const choices = kernelChoices(&count);
  Napi::Array out = Napi::Array::New(env, static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    Napi::Object isa = Napi::Object::New(env);
    isa.Set("name", choices[i].table->name);
    isa.Set("unavailable", choices[i].unavailable ? Napi::String::New(env, choices[i].unavailable) : env.Null());
    out.Set(static_cast<uint32_t>(i), isa);
  }
  return out;
}

/** The names of a table, in its order. */
template <class Choice, size_t N>
Napi::Array namesOf(Napi::Env env, const Named<Choice> (&table)[N]) {
  Napi::Array out = Napi::Array::New(env, N);
  for (uint32_t i = 0; i < N; i++) out.Set(i, table[i].name);
  return out;
}

template <class... Types>
void addTables(Napi::Object& out) {
  (addNames(out, FieldsOf<Types>::kType, FieldsOf<Types>::kTable), ...);
}

/** Names of fields by type, for the test that holds them against TypeScript's. */
Napi::Object fieldsOf(Napi::Env env) {
  Napi::Object out = Napi::Object::New(env);
  addTables<CodecForm, Linear, Norm, Rope, Block, HeadAdapter, Head, LowRank, GivenPass, GivenSpan, GivenCapture,
            GivenHeadRun, GivenPart>(out);
  addTables<offline::Gemm, offline::Gptq, offline::ScaleSearch, offline::Refine, offline::GroupRemoval,
            offline::HessianError, offline::RowComparison, offline::PackCall>(out);
  addNames(out, "NativeAttention", kAttentionFields);
  addNames(out, "NativeMlp", kMlpFields);
  return out;
}

Napi::Value packedBytesCall(const Napi::CallbackInfo& info) {
  const Path path{"form"};
  Reader reader;
  CodecForm form{};
  readObject(reader, info[0], path, form);
  const auto rows = static_cast<int32_t>(integerOf(info[1], Path{"rows"}, 1, INT32_MAX));
  const auto cols = static_cast<int32_t>(integerOf(info[2], Path{"cols"}, 1, INT32_MAX));
  return Napi::Number::New(info.Env(), static_cast<double>(packedBytes(form, rows, cols)));
}

Napi::Value endAfterSignalsCall(const Napi::CallbackInfo& info) {
  const auto small = [&](size_t index, const char* name, int64_t most) {
    return static_cast<int>(integerOf(info[index], Path{name}, 0, most));
  };
  endAfterSignals({small(0, "graceMs", 60'000), small(1, "interruptStatus", 255), small(2, "terminateStatus", 255),
                   stringOf(info[3], Path{"message"})});
  return info.Env().Undefined();
}

template <Napi::Value (*kFunction)(const Napi::CallbackInfo&)>
Napi::Value call(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] { return kFunction(info); });
}

template <Napi::Value (*kFunction)(const Napi::CallbackInfo&)>
void addFunction(Napi::Object& exports, const char* name) {
  exports.Set(name, Napi::Function::New<call<kFunction>>(exports.Env(), name));
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  auto* const data = new AddonData(env);
  data->constructor<EngineKind>() = Napi::Persistent(defineEngine(env));
  data->constructor<OfflineKind>() = Napi::Persistent(defineOffline(env));
  data->constructor<ModelKind>() = Napi::Persistent(defineModel(env));
  data->constructor<CacheKind>() = Napi::Persistent(defineCache(env));
  data->constructor<ContextKind>() = Napi::Persistent(defineContext(env));
  env.SetInstanceData(data);
  exports.Set("isas", isasOf(env));
  exports.Set("roles", namesOf(env, kRoles));
  exports.Set("fields", fieldsOf(env));
  exports.Set("physicalCores", physicalCores());
  exports.Set("version", LAYERWISE_VERSION);
  addFunction<mapFile>(exports, "mapFile");
  addFunction<readFile>(exports, "readFile");
  addFunction<alignedBytes>(exports, "alignedBytes");
  addFunction<isAligned>(exports, "isAligned");
  addFunction<isKept>(exports, "isKept");
  addFunction<isTornCall>(exports, "isTorn");
  addFunction<packedBytesCall>(exports, "packedBytes");
  addFunction<endAfterSignalsCall>(exports, "endAfterSignals");
  addFunction<createEngine>(exports, "createEngine");
  return exports;
}

}  // namespace

}  // namespace layerwise

/** Called by Node.js once for each thread of JavaScript that loads the addon. */
static Napi::Object initialize(Napi::Env env, Napi::Object exports) { return layerwise::start(env, exports); }

NODE_API_MODULE(layerwise_native, initialize)
