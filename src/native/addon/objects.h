// The classes behind the objects that the addon hands out. None can be constructed from JavaScript, and an argument
// that should be one of them is recognised by its type tag, never by its prototype.
#pragma once
#include <napi.h>

#include "addon-data.h"
#include "arguments.h"
#include "engine-core.h"

namespace layerwise {

/** What every class does alike. `Self` has: static const char* const kName, and a constructor from Napi::CallbackInfo.
 */
template <class Self, class State>
class AddonObject : public Napi::ObjectWrap<Self> {
 public:
  using Properties = std::initializer_list<Napi::ClassPropertyDescriptor<Self>>;

  explicit AddonObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    if (info.Length() != 1 || !info[0].IsExternal()) {
      throw Napi::TypeError::New(info.Env(), std::string(Self::kName) + ": cannot be constructed");
    }
    state_ = *info[0].As<Napi::External<std::shared_ptr<State>>>().Data();
    napi_type_tag_object(info.Env(), info.This(), &Self::kTag);
  }

  static Napi::Object create(Napi::Env env, const Napi::FunctionReference& constructor, std::shared_ptr<State> state) {
    return constructor.New({Napi::External<std::shared_ptr<State>>::New(env, &state)});
  }

  /** The object behind an argument; throws a TypeError where it is something else. */
  static Self& of(Napi::Value value, const Path& path) {
    bool tagged = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &Self::kTag, &tagged) != napi_ok ||
        !tagged) {
      throwTypeError(value.Env(), path, std::string("expected a ") + Self::kName);
    }
    return *Napi::ObjectWrap<Self>::Unwrap(value.As<Napi::Object>());
  }

  const std::shared_ptr<State>& state() const { return state_; }

 protected:
  std::shared_ptr<State> state_;
};

}  // namespace layerwise
