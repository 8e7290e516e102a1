// Arguments from JavaScript, checked one by one: whatever is wrong throws a TypeError or RangeError that names the
// argument.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>

namespace layerwise {

/** Where a value stands in the arguments, as `pass.spans[2].count`; a chain on the stack, made into text only for a
 * message. */
struct Path {
  const char* name;
  const Path* parent = nullptr;
  /** Number of an element of an array; then `name` is not used. */
  int64_t index = -1;

  std::string text() const;
};

[[noreturn]] void throwTypeError(Napi::Env env, const Path& path, const std::string& problem);
[[noreturn]] void throwRangeError(Napi::Env env, const Path& path, const std::string& problem);
[[noreturn]] void throwError(Napi::Env env, const std::string& text);

/** An object that is neither null nor a function. */
Napi::Object objectOf(Napi::Value value, const Path& path);
/** A whole number in [min, max]; both within 2^53. */
int64_t integerOf(Napi::Value value, const Path& path, int64_t min, int64_t max);
/** A finite number. */
double numberOf(Napi::Value value, const Path& path);
bool booleanOf(Napi::Value value, const Path& path);
std::string stringOf(Napi::Value value, const Path& path);
/** True for null and undefined. */
bool isAbsent(Napi::Value value);

/** The elements of a typed array: good for as long as its ArrayBuffer lives and is not transferred. */
template <class T>
struct Elements {
  T* data = nullptr;
  size_t length = 0;
  Napi::Value array;
};

/** Type number and name of the typed array that holds T. */
template <class T>
struct ArrayType;
template <>
struct ArrayType<float> {
  static constexpr napi_typedarray_type type = napi_float32_array;
  static constexpr const char* name = "Float32Array";
};
template <>
struct ArrayType<double> {
  static constexpr napi_typedarray_type type = napi_float64_array;
  static constexpr const char* name = "Float64Array";
};
template <>
struct ArrayType<int32_t> {
  static constexpr napi_typedarray_type type = napi_int32_array;
  static constexpr const char* name = "Int32Array";
};
template <>
struct ArrayType<uint8_t> {
  static constexpr napi_typedarray_type type = napi_uint8_array;
  static constexpr const char* name = "Uint8Array";
};
template <>
struct ArrayType<int8_t> {
  static constexpr napi_typedarray_type type = napi_int8_array;
  static constexpr const char* name = "Int8Array";
};
template <>
struct ArrayType<uint16_t> {
  static constexpr napi_typedarray_type type = napi_uint16_array;
  static constexpr const char* name = "Uint16Array";
};

/** The elements, untyped; `wanted` is the type that the array must have. */
void* elementsOf(Napi::Value value, const Path& path, napi_typedarray_type wanted, const char* wantedName,
                 size_t* length);

/** A typed array of exactly that type over an ordinary, attached, not resizable ArrayBuffer. */
template <class T>
Elements<T> elementsOf(Napi::Value value, const Path& path) {
  Elements<T> out;
  out.data = static_cast<T*>(elementsOf(value, path, ArrayType<T>::type, ArrayType<T>::name, &out.length));
  out.array = value;
  return out;
}

/** The same with exactly `length` elements. */
template <class T>
Elements<T> elementsOf(Napi::Value value, const Path& path, int64_t length) {
  const Elements<T> out = elementsOf<T>(value, path);
  if (static_cast<int64_t>(out.length) != length) {
    throwRangeError(value.Env(), path,
                    "expected " + std::to_string(length) + " elements, found " + std::to_string(out.length));
  }
  return out;
}

/** The same with at least `length` elements. */
template <class T>
Elements<T> elementsFrom(Napi::Value value, const Path& path, int64_t length) {
  const Elements<T> out = elementsOf<T>(value, path);
  if (static_cast<int64_t>(out.length) < length) {
    throwRangeError(value.Env(), path,
                    "expected at least " + std::to_string(length) + " elements, found " + std::to_string(out.length));
  }
  return out;
}

/** Throws where two arrays overlap. */
template <class T, class U>
void refuseOverlap(Napi::Env env, const Path& path, const Elements<T>& a, const Elements<U>& b) {
  const auto aFrom = reinterpret_cast<uintptr_t>(a.data), aTo = aFrom + a.length * sizeof(T);
  const auto bFrom = reinterpret_cast<uintptr_t>(b.data), bTo = bFrom + b.length * sizeof(U);
  if (aFrom < bTo && bFrom < aTo) throwRangeError(env, path, "overlaps another array of the call");
}

}  // namespace layerwise
