// Objects from JavaScript read by tables of their fields: what each is called, where it goes and what it may be. Which
// type a field must have follows from where it goes; whatever is wrong throws a TypeError or RangeError that names the
// field.
#pragma once
#include <type_traits>
#include <utility>
#include <vector>

#include "../engine/role.h"
#include "arguments.h"

namespace layerwise {

/** What reading leaves beside the numbers. */
struct Reader {
  struct Array {
    Napi::Value value;
    uintptr_t from, to;
    bool written;
  };

  /**
   * The elements of an array that the call uses in place; T const: it is only read. Arrays that are written overlap no
   * other.
   */
  template <class T>
  T* take(Napi::Value value, const Path& path, int64_t length) {
    const auto found = elementsOf<std::remove_const_t<T>>(value, path, length);
    takeRange<T>(found, path);
    return found.data;
  }
  /** The same of an array of `length` elements or more. */
  template <class T>
  Elements<std::remove_const_t<T>> takeFrom(Napi::Value value, const Path& path, int64_t length) {
    const auto found = elementsFrom<std::remove_const_t<T>>(value, path, length);
    takeRange<T>(found, path);
    return found;
  }

  /** Throws where an array was detached after it was taken, by a getter of a later argument. */
  void requireInPlace() const;

  std::vector<Array> arrays;
  /** What keeps the memory of weights. */
  std::vector<std::shared_ptr<const void>> shares;

 private:
  template <class T>
  void takeRange(const Elements<std::remove_const_t<T>>& found, const Path& path) {
    const auto from = reinterpret_cast<uintptr_t>(found.data);
    takeArray({found.array, from, from + found.length * sizeof(T), !std::is_const_v<T>}, path);
  }
  void takeArray(const Array& array, const Path& path);
};

/** The length of an array that the call has no use for: it is not looked at. */
constexpr int64_t kNotTaken = -1;

template <class Object>
struct Field {
  const char* name;
  void (*read)(Reader& reader, Napi::Value value, const Path& path, const Field& field, Object& object);
  /** Bounds of a whole number. */
  int64_t min = 0, max = 0;
  /** Of an array, from the fields before it. */
  int64_t (*length)(const Object& object) = nullptr;
  /** Null or missing: what stands there stays. */
  bool optional = false;
};

/**
 * Of each type that is read by a table: `kType`, how TypeScript calls it; `kTable`; `check(path, object)`, where there
 * is more.
 */
template <class Object>
struct FieldsOf;

template <class T>
concept HasFields = requires { FieldsOf<T>::kTable; };

template <class Object, size_t N>
void readTable(Reader& reader, const Napi::Object& from, const Path& path, const Field<Object> (&table)[N],
               Object& object) {
  for (const Field<Object>& field : table) {
    if (field.length && field.length(object) == kNotTaken) continue;
    const Napi::Value value = from.Get(field.name);
    if (field.optional && isAbsent(value)) continue;
    field.read(reader, value, Path{field.name, &path}, field, object);
  }
}

/** Reads an object by its type's table. */
template <HasFields Object>
void readObject(Reader& reader, Napi::Value value, const Path& path, Object& object) {
  readTable(reader, objectOf(value, path), path, FieldsOf<Object>::kTable, object);
  if constexpr (requires { FieldsOf<Object>::check(path, object); }) FieldsOf<Object>::check(path, object);
}

// ---- where a field goes: members one inside the other, or a role's place in an array by role ----

template <class T>
struct Member;
template <class Owner, class T>
struct Member<T Owner::*> {
  using Object = Owner;
};

template <auto kStep, class T>
constexpr auto& stepInto(T& object) {
  if constexpr (std::is_same_v<decltype(kStep), Role>) {
    return object[kStep];
  } else {
    return object.*kStep;
  }
}

template <auto kStep, auto... kRest, class T>
constexpr auto& placeIn(T& object) {
  if constexpr (sizeof...(kRest) == 0) {
    return stepInto<kStep>(object);
  } else {
    return placeIn<kRest...>(stepInto<kStep>(object));
  }
}

template <auto kFirst>
using OwnerOf = typename Member<decltype(kFirst)>::Object;

// ---- what a field is, by the type of its place ----

template <auto kFirst, auto... kRest>
void readField(Reader& reader, Napi::Value value, const Path& path, const Field<OwnerOf<kFirst>>& field,
               OwnerOf<kFirst>& object) {
  auto& place = placeIn<kFirst, kRest...>(object);
  using T = std::remove_reference_t<decltype(place)>;
  if constexpr (std::is_same_v<T, Napi::Value>) {
    place = value;
  } else if constexpr (std::is_same_v<T, bool>) {
    place = booleanOf(value, path);
  } else if constexpr (std::is_integral_v<T>) {
    place = static_cast<T>(integerOf(value, path, field.min, field.max));
  } else if constexpr (std::is_floating_point_v<T>) {
    place = static_cast<T>(numberOf(value, path));
  } else if constexpr (std::is_enum_v<T>) {
    place = choiceOf<T>(value, path);
  } else if constexpr (std::is_same_v<T, std::string>) {
    place = stringOf(value, path);
  } else if constexpr (std::is_same_v<T, std::vector<double>>) {
    const auto found = elementsOf<double>(value, path, field.length(object));
    place.assign(found.data, found.data + found.length);
  } else if constexpr (std::is_pointer_v<T>) {
    place = reader.take<std::remove_pointer_t<T>>(value, path, field.length(object));
  } else {
    readObject(reader, value, path, place);
  }
}

/** A number, flag, choice, text or object, or a value as it is. */
template <auto kFirst, auto... kRest>
constexpr Field<OwnerOf<kFirst>> field(const char* name) {
  return {name, readField<kFirst, kRest...>};
}
/** A whole number. */
template <auto kFirst, auto... kRest>
constexpr Field<OwnerOf<kFirst>> field(const char* name, int64_t min, int64_t max) {
  return {name, readField<kFirst, kRest...>, min, max};
}
/** An array of so many elements: copied to a vector, used in place by a pointer. */
template <auto kFirst, auto... kRest>
constexpr Field<OwnerOf<kFirst>> field(const char* name, int64_t (*length)(const OwnerOf<kFirst>&)) {
  return {name, readField<kFirst, kRest...>, 0, 0, length};
}

template <class Object>
constexpr Field<Object> optional(Field<Object> field) {
  field.optional = true;
  return field;
}

/** Calls each(element, its path) for the elements of an array. */
template <class Each>
void forEach(Napi::Value value, const Path& path, Each each) {
  if (!value.IsArray()) throwTypeError(value.Env(), path, "expected an array");
  const auto elements = value.As<Napi::Array>();
  for (uint32_t i = 0; i < elements.Length(); i++) each(elements.Get(i), Path{nullptr, &path, i});
}

/** Names of a table's fields, under its type's. */
template <class Object, size_t N>
void addNames(Napi::Object& to, const char* type, const Field<Object> (&table)[N]) {
  const Napi::Array names = Napi::Array::New(to.Env(), N);
  for (uint32_t i = 0; i < N; i++) names.Set(i, table[i].name);
  to.Set(type, names);
}

}  // namespace layerwise
