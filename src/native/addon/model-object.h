// NativeModel and NativeCache of addon.ts.
#pragma once
#include "objects.h"

namespace layerwise {

class ModelObject : public AddonObject<ModelObject, ModelState> {
 public:
  static constexpr const char* kName = "NativeModel";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit ModelObject(const Napi::CallbackInfo& info) : AddonObject(info) {}

 private:
  Napi::Value setEmbedding(const Napi::CallbackInfo& info);
  Napi::Value setBlock(const Napi::CallbackInfo& info);
  Napi::Value clearBlock(const Napi::CallbackInfo& info);
  Napi::Value setHead(const Napi::CallbackInfo& info);
  Napi::Value setAdapter(const Napi::CallbackInfo& info);
  Napi::Value embed(const Napi::CallbackInfo& info);
  Napi::Value createCache(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  /** Number of a block that no call under way uses. */
  size_t freeBlock(Napi::Value value) const;
};

class CacheObject : public AddonObject<CacheObject, CacheState> {
 public:
  static constexpr const char* kName = "NativeCache";
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit CacheObject(const Napi::CallbackInfo& info) : AddonObject(info) {}
  ~CacheObject() override;

 private:
  Napi::Value length(const Napi::CallbackInfo& info);
  Napi::Value truncate(const Napi::CallbackInfo& info);
  Napi::Value fork(const Napi::CallbackInfo& info);
  Napi::Value byteLength(const Napi::CallbackInfo& info);
  Napi::Value setReserved(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  /** The cache, where it is open and no pass uses it. */
  KvCache& idle(Napi::Env env) const;
};

/** Tells the collector that a cache now holds `bytes` outside of its heap. */
void reportBytes(Napi::Env env, CacheState& cache, int64_t bytes);

}  // namespace layerwise
