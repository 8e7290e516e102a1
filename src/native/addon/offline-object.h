// NativeOffline of addon.ts.
#pragma once
#include "objects.h"

namespace layerwise {

class OfflineObject : public AddonObject<OfflineObject, EngineCore> {
 public:
  static constexpr const char* kName = "NativeOffline";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit OfflineObject(const Napi::CallbackInfo& info) : AddonObject(info) {}

 private:
  Napi::Value accumulateGram(const Napi::CallbackInfo& info);
  Napi::Value inverseUpperFactor(const Napi::CallbackInfo& info);
  Napi::Value gptq(const Napi::CallbackInfo& info);
  Napi::Value searchScales(const Napi::CallbackInfo& info);
  Napi::Value refine(const Napi::CallbackInfo& info);
  Napi::Value hessianError(const Napi::CallbackInfo& info);
  Napi::Value compareRows(const Napi::CallbackInfo& info);
  Napi::Value pack(const Napi::CallbackInfo& info);
};

}  // namespace layerwise
