// The objects that the addon hands out. None can be constructed from JavaScript, and an argument that should be one of
// them is recognised by its type tag, never by its prototype.
#pragma once
#include <napi.h>

#include "addon-data.h"
#include "arguments.h"
#include "engine-core.h"

namespace layerwise {

// What each kind holds: its place among the constructors, its name in addon.ts, and its tag.
struct EngineKind {
  static constexpr int kIndex = 0;
  using State = EngineCore;
  static constexpr const char* kName = "NativeEngine";
  static constexpr napi_type_tag kTag = {0x6c617965722d656eULL, 0x67696e652d303031ULL};
};
struct OfflineKind {
  static constexpr int kIndex = 1;
  using State = EngineCore;
  static constexpr const char* kName = "NativeOffline";
  static constexpr napi_type_tag kTag = {0x6c617965722d6f66ULL, 0x666c696e652d3031ULL};
};
struct KernelsKind {
  static constexpr int kIndex = 2;
  using State = EngineCore;
  static constexpr const char* kName = "NativeKernels";
  static constexpr napi_type_tag kTag = {0x6c617965722d6b65ULL, 0x726e656c732d3031ULL};
};
struct ModelKind {
  static constexpr int kIndex = 3;
  using State = ModelState;
  static constexpr const char* kName = "NativeModel";
  static constexpr napi_type_tag kTag = {0x6c617965722d6d6fULL, 0x64656c2d30303031ULL};
};
struct CacheKind {
  static constexpr int kIndex = 4;
  using State = CacheState;
  static constexpr const char* kName = "NativeCache";
  static constexpr napi_type_tag kTag = {0x6c617965722d6b76ULL, 0x63616368652d3031ULL};
};
struct ContextKind {
  static constexpr int kIndex = 5;
  using State = ContextState;
  static constexpr const char* kName = "NativeContext";
  static constexpr napi_type_tag kTag = {0x6c617965722d636fULL, 0x6e746578742d3031ULL};
};

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
    if constexpr (requires { state_->collected(this->Env()); }) {
      if (state_) state_->collected(this->Env());
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
  template <auto kDispose>
  static Napi::Function define(Napi::Env env, std::vector<Property> properties) {
    properties.push_back(always<kDispose>("dispose"));
    properties.push_back(Napi::ObjectWrap<Handle>::template InstanceMethod<&Handle::template call<kDispose, false>>(
        Napi::Symbol::WellKnown(env, "dispose")));
    return define(env, properties);
  }

 private:
  template <auto kFunction, bool kOpen>
  Napi::Value call(const Napi::CallbackInfo& info) {
    if (kOpen) requireOpen(info.Env(), *state_);
    if constexpr (std::is_void_v<decltype(kFunction(info, state_))>) {
      kFunction(info, state_);
      return info.Env().Undefined();
    } else {
      return Napi::Value::From(info.Env(), kFunction(info, state_));
    }
  }

  State state_;
};

/** createEngine({ isa, threads }) of the addon. */
Napi::Value createEngine(const Napi::CallbackInfo& info);

Napi::Function defineEngine(Napi::Env env);
Napi::Function defineOffline(Napi::Env env);
Napi::Function defineKernels(Napi::Env env);
Napi::Function defineModel(Napi::Env env);
Napi::Function defineCache(Napi::Env env);
Napi::Function defineContext(Napi::Env env);

}  // namespace layerwise
