// NativeContext of addon.ts.
#pragma once
#include "objects.h"

namespace layerwise {

class ContextObject : public AddonObject<ContextObject, ContextState> {
 public:
  static constexpr const char* kName = "NativeContext";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit ContextObject(const Napi::CallbackInfo& info) : AddonObject(info) {}

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value answers(const Napi::CallbackInfo& info);
  Napi::Value abort(const Napi::CallbackInfo& info);
  Napi::Value scratchBytes(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<ModelState> openModel(const Napi::CallbackInfo& info) const;
};

}  // namespace layerwise
