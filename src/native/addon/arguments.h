// Arguments from JavaScript, checked one by one: whatever is wrong throws a TypeError, or what becomes a RangeError,
// that names the argument. Other exceptions of the engine become an Error.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>

#include "../engine/choices.h"

namespace layerwise {

[[noreturn]] void throwTypeError(Napi::Env env, const Path& path, const std::string& problem);

/** What a body gives; what it refuses is thrown as JavaScript's RangeError. */
template <class Body>
auto translated(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const std::invalid_argument& problem) {
    throw Napi::RangeError::New(env, problem.what());
  }
}

/** An object that is neither null nor a function. */
Napi::Object objectOf(Napi::Value value, const Path& path);
/** A whole number in [min, max]; both within 2^53. */
int64_t integerOf(Napi::Value value, const Path& path, int64_t min, int64_t max);
/** A finite number. */
double numberOf(Napi::Value value, const Path& path);
bool booleanOf(Napi::Value value, const Path& path);
std::string stringOf(Napi::Value value, const Path& path);
/** One of the engine's choices, by its name. */
template <class Choice>
Choice choiceOf(Napi::Value value, const Path& path) {
  return choiceNamed<Choice>(stringOf(value, path), path);
}
/** True for null and undefined. */
bool isAbsent(Napi::Value value);

/** The elements of a typed array: good for as long as its ArrayBuffer lives and is not transferred. */
template <class T>
struct Elements {
  T* data = nullptr;
  size_t length = 0;
  Napi::Value array;
};

/** A kind of typed array. */
struct ArrayType {
  napi_typedarray_type type;
  const char* name;
};
/** The one that holds T. */
template <class T>
constexpr ArrayType kArrayOf = {};
template <>
inline constexpr ArrayType kArrayOf<float> = {napi_float32_array, "Float32Array"};
template <>
inline constexpr ArrayType kArrayOf<double> = {napi_float64_array, "Float64Array"};
template <>
inline constexpr ArrayType kArrayOf<int32_t> = {napi_int32_array, "Int32Array"};
template <>
inline constexpr ArrayType kArrayOf<uint8_t> = {napi_uint8_array, "Uint8Array"};
template <>
inline constexpr ArrayType kArrayOf<int8_t> = {napi_int8_array, "Int8Array"};
template <>
inline constexpr ArrayType kArrayOf<uint16_t> = {napi_uint16_array, "Uint16Array"};

/** The elements, untyped. */
void* elementsOf(Napi::Value value, const Path& path, const ArrayType& wanted, size_t* length);

/** A typed array of exactly that type over an ordinary, attached, not resizable ArrayBuffer. */
template <class T>
Elements<T> elementsOf(Napi::Value value, const Path& path) {
  Elements<T> out;
  out.data = static_cast<T*>(elementsOf(value, path, kArrayOf<T>, &out.length));
  out.array = value;
  return out;
}

/** The same with exactly `length` elements. */
template <class T>
Elements<T> elementsOf(Napi::Value value, const Path& path, int64_t length) {
  const Elements<T> out = elementsOf<T>(value, path);
  if (static_cast<int64_t>(out.length) != length) {
    refuse(path, "expected " + std::to_string(length) + " elements, found " + std::to_string(out.length));
  }
  return out;
}

/** The same with at least `length` elements. */
template <class T>
Elements<T> elementsFrom(Napi::Value value, const Path& path, int64_t length) {
  const Elements<T> out = elementsOf<T>(value, path);
  if (static_cast<int64_t>(out.length) < length) {
    refuse(path, "expected at least " + std::to_string(length) + " elements, found " + std::to_string(out.length));
  }
  return out;
}

}  // namespace layerwise
