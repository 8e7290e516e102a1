// NativeEngine of addon.ts.
#pragma once
#include "objects.h"

namespace layerwise {

class EngineObject : public AddonObject<EngineObject, EngineCore> {
 public:
  static constexpr const char* kName = "NativeEngine";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit EngineObject(const Napi::CallbackInfo& info) : AddonObject(info) {}

  /** createEngine({ isa, threads }) of the addon. */
  static Napi::Value createEngine(const Napi::CallbackInfo& info);

 private:
  Napi::Value isa(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value offline(const Napi::CallbackInfo& info);
  Napi::Value kernels(const Napi::CallbackInfo& info);
  Napi::Value createModel(const Napi::CallbackInfo& info);
  Napi::Value createContext(const Napi::CallbackInfo& info);
  Napi::Value product(const Napi::CallbackInfo& info);
  Napi::Value productTransposed(const Napi::CallbackInfo& info);
  Napi::Value productInt8(const Napi::CallbackInfo& info);
  Napi::Value readBandwidth(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  /** Made when first asked for. */
  Napi::ObjectReference offline_, kernels_;
};

}  // namespace layerwise
