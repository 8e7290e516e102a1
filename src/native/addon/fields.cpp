// Arrays that a call uses in place.
#include "fields.h"

namespace layerwise {

void Reader::takeArray(const Array& array, const Path& path) {
  for (const Array& other : arrays) {
    if ((array.written || other.written) && array.from < other.to && other.from < array.to) {
      refuse(path, "overlaps another array of the call");
    }
  }
  arrays.push_back(array);
}

void Reader::requireInPlace() const {
  for (const Array& array : arrays) {
    void* now = nullptr;
    if (napi_get_typedarray_info(array.value.Env(), array.value, nullptr, nullptr, &now, nullptr, nullptr) != napi_ok ||
        reinterpret_cast<uintptr_t>(now) != array.from) {
      throw Napi::TypeError::New(array.value.Env(), "an array of the call was detached while its arguments were read");
    }
  }
}

}  // namespace layerwise
