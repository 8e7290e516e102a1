// NativeKernels of addon.ts: single kernels on the calling thread, for the twin tests.
#pragma once
#include "objects.h"

namespace layerwise {

class KernelsObject : public AddonObject<KernelsObject, EngineCore> {
 public:
  static constexpr const char* kName = "NativeKernels";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit KernelsObject(const Napi::CallbackInfo& info) : AddonObject(info) {}

 private:
  Napi::Value quantizeRows(const Napi::CallbackInfo& info);
  Napi::Value unpackRow(const Napi::CallbackInfo& info);
  Napi::Value rmsNorm(const Napi::CallbackInfo& info);
  Napi::Value layerNorm(const Napi::CallbackInfo& info);
  Napi::Value rotate(const Napi::CallbackInfo& info);
  Napi::Value activate(const Napi::CallbackInfo& info);
  Napi::Value activateGated(const Napi::CallbackInfo& info);
  Napi::Value toF16(const Napi::CallbackInfo& info);
  Napi::Value fromF16(const Napi::CallbackInfo& info);
  Napi::Value attend(const Napi::CallbackInfo& info);
};

}  // namespace layerwise
