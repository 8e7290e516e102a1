// The objects that the addon hands out. None can be constructed from JavaScript, and an argument that should be one of
// them is recognised by its type tag, never by its prototype.
#pragma once
#include <napi.h>

#include "../engine/live-parts.h"
#include "addon-data.h"
#include "arguments.h"

namespace layerwise {

/** A kind of objects: its place among the constructors and what each holds. kName is its name in addon.ts. */
template <uint64_t kNumber, class Held>
struct KindOf {
  static constexpr uint64_t kIndex = kNumber;
  static constexpr napi_type_tag kTag = {0x6c61796572776973ULL, kNumber};
  using State = Held;
};
struct EngineKind : KindOf<0, EngineCore> {
  static constexpr const char* kName = "NativeEngine";
};
struct OfflineKind : KindOf<1, EngineCore> {
  static constexpr const char* kName = "NativeOffline";
};
struct ModelKind : KindOf<2, ModelState> {
  static constexpr const char* kName = "NativeModel";
};
struct CacheKind : KindOf<3, CacheState> {
  static constexpr const char* kName = "NativeCache";
};
struct ContextKind : KindOf<4, ContextState> {
  static constexpr const char* kName = "NativeContext";
};

/** Tells the collector that a cache now holds `bytes` outside of its heap. */
inline void report(Napi::Env env, CacheState& cache, int64_t bytes) {
  if (bytes != cache.reportedBytes) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - cache.reportedBytes);
  cache.reportedBytes = bytes;
}

template <class Kind>
class Handle : public Napi::ObjectWrap<Handle<Kind>> {
 public:
  using State = std::shared_ptr<typename Kind::State>;
  using Property = Napi::ClassPropertyDescriptor<Handle>;

  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {
    if (info.Length() != 1 || !info[0].IsExternal()) {
      throw Napi::TypeError::New(info.Env(), std::string(Kind::kName) + ": cannot be constructed");
    }
    state_ = *info[0].As<Napi::External<State>>().Data();
    napi_type_tag_object(info.Env(), info.This(), &Kind::kTag);
  }
  ~Handle() override {
    if constexpr (std::is_same_v<Kind, CacheKind>) {
      if (state_) report(this->Env(), *state_, 0);
    }
  }

  static Napi::Object create(Napi::Env env, State state) {
    return env.GetInstanceData<AddonData>()->template constructor<Kind>().New(
        {Napi::External<State>::New(env, &state)});
  }

  /** The state behind an argument; throws a TypeError where it is something else. */
  static const State& of(Napi::Value value, const Path& path) {
    bool tagged = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &Kind::kTag, &tagged) != napi_ok ||
        !tagged) {
      throwTypeError(value.Env(), path, std::string("expected a ") + Kind::kName);
    }
    return Napi::ObjectWrap<Handle>::Unwrap(value.As<Napi::Object>())->state_;
  }

  /** A method that throws where the state was disposed of. */
  template <auto kFunction>
  static Property method(const char* name) {
    return Napi::ObjectWrap<Handle>::template InstanceMethod<&Handle::template call<kFunction, true>>(name);
  }
  /** One that never does. */
  template <auto kFunction>
  static Property always(const char* name) {
    return Napi::ObjectWrap<Handle>::template InstanceMethod<&Handle::template call<kFunction, false>>(name);
  }

  static Napi::Function define(Napi::Env env, const std::vector<Property>& properties) {
    return Napi::ObjectWrap<Handle>::DefineClass(env, Kind::kName, properties);
  }
  /** The same with `dispose` and what `using` calls. */
  static Napi::Function defineDisposable(Napi::Env env, std::vector<Property> properties) {
    properties.push_back(always<dispose>("dispose"));
    properties.push_back(Napi::ObjectWrap<Handle>::template InstanceMethod<&Handle::template call<dispose, false>>(
        Napi::Symbol::WellKnown(env, "dispose")));
    return define(env, properties);
  }

 private:
  /** Calls under way hold the state, and what it holds; without any that goes now, not when the collector comes. */
  static void dispose(const Napi::CallbackInfo& info, const State& state) {
    state->disposed = true;
    state->releaseWhenIdle();
    if constexpr (std::is_same_v<Kind, CacheKind>) report(info.Env(), *state, 0);
  }

  template <auto kFunction, bool kOpen>
  Napi::Value call(const Napi::CallbackInfo& info) {
    if (kOpen) requireOpen(*state_);
    return translated(info.Env(), [&]() -> Napi::Value {
      if constexpr (std::is_void_v<decltype(kFunction(info, state_))>) {
        kFunction(info, state_);
        return info.Env().Undefined();
      } else {
        return Napi::Value::From(info.Env(), kFunction(info, state_));
      }
    });
  }

  State state_;
};

/** createEngine({ isa, threads }) of the addon. */
Napi::Value createEngine(const Napi::CallbackInfo& info);

Napi::Function defineEngine(Napi::Env env);
Napi::Function defineOffline(Napi::Env env);
Napi::Function defineModel(Napi::Env env);
Napi::Function defineCache(Napi::Env env);
Napi::Function defineContext(Napi::Env env);

}  // namespace layerwise
