// Checks of single arguments.
#include "arguments.h"

#include <cmath>

#include "addon-data.h"

namespace layerwise {

AddonData::AddonData(Napi::Env env) {
  const Napi::Object global = env.Global();
  const auto describe = global.Get("Object").As<Napi::Object>().Get("getOwnPropertyDescriptor").As<Napi::Function>();
  const Napi::Value prototype = global.Get("ArrayBuffer").As<Napi::Object>().Get("prototype");
  const Napi::Value found = describe.Call({prototype, Napi::String::New(env, "resizable")});
  if (found.IsObject()) resizable = Napi::Persistent(found.As<Napi::Object>().Get("get").As<Napi::Function>());
}

void throwTypeError(Napi::Env env, const Path& path, const std::string& problem) {
  throw Napi::TypeError::New(env, path.text() + ": " + problem);
}

namespace {

/** What was found, in a word. */
const char* kindOf(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number:
      return "a number";
    case napi_string:
      return "a string";
    case napi_bigint:
      return "a bigint";
    case napi_function:
      return "a function";
    case napi_object:
      return value.IsTypedArray() ? "another typed array" : value.IsArray() ? "an array" : "an object";
    default:
      return "something else";
  }
}

[[noreturn]] void wrongKind(Napi::Value value, const Path& path, const char* wanted) {
  throwTypeError(value.Env(), path, std::string("expected ") + wanted + ", found " + kindOf(value));
}

/** A number as a message shows it: whole where it is. */
std::string shown(double x) {
  if (std::isfinite(x) && x == std::floor(x) && std::fabs(x) < 9e15) return std::to_string(static_cast<int64_t>(x));
  return std::to_string(x);
}

}  // namespace

Napi::Object objectOf(Napi::Value value, const Path& path) {
  if (!value.IsObject() || value.IsFunction()) wrongKind(value, path, "an object");
  return value.As<Napi::Object>();
}

int64_t integerOf(Napi::Value value, const Path& path, int64_t min, int64_t max) {
  if (!value.IsNumber()) wrongKind(value, path, "a number");
  const double x = value.As<Napi::Number>().DoubleValue();
  if (!(x >= static_cast<double>(min) && x <= static_cast<double>(max)) || x != std::floor(x)) {
    refuse(path, "expected a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ", found " +
                     shown(x));
  }
  return static_cast<int64_t>(x);
}

double numberOf(Napi::Value value, const Path& path) {
  if (!value.IsNumber()) wrongKind(value, path, "a number");
  const double x = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(x)) refuse(path, "expected a finite number, found " + shown(x));
  return x;
}

bool booleanOf(Napi::Value value, const Path& path) {
  if (!value.IsBoolean()) wrongKind(value, path, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string stringOf(Napi::Value value, const Path& path) {
  if (!value.IsString()) wrongKind(value, path, "a string");
  return value.As<Napi::String>().Utf8Value();
}

bool isAbsent(Napi::Value value) { return value.IsNull() || value.IsUndefined(); }

void* elementsOf(Napi::Value value, const Path& path, const ArrayType& wanted, size_t* length) {
  const Napi::Env env = value.Env();
  if (!value.IsTypedArray()) wrongKind(value, path, wanted.name);
  napi_typedarray_type type;
  void* data = nullptr;
  napi_value buffer;
  size_t byteOffset;
  if (napi_get_typedarray_info(env, value, &type, length, &data, &buffer, &byteOffset) != napi_ok ||
      type != wanted.type) {
    wrongKind(value, path, wanted.name);
  }
  const Napi::Value under(env, buffer);
  if (!under.IsArrayBuffer()) throwTypeError(env, path, "expected an array over an ArrayBuffer, found shared memory");
  if (under.As<Napi::ArrayBuffer>().IsDetached()) throwTypeError(env, path, "its ArrayBuffer is detached");
  // A resizable buffer could shrink below a pointer that is kept.
  const Napi::FunctionReference& resizable = env.GetInstanceData<AddonData>()->resizable;
  if (!resizable.IsEmpty() && resizable.Call(under, {}).ToBoolean()) {
    throwTypeError(env, path, "expected an ArrayBuffer of fixed length, found a resizable one");
  }
  return data;
}

}  // namespace layerwise
