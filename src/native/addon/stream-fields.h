// What of a model is streamed, by its fields.
#pragma once
#include "../engine/live-parts.h"
#include "fields.h"

namespace layerwise {

struct GivenPart {
  Napi::Value file, offset, buffer;
  int64_t bytes = 0;
};
template <>
struct FieldsOf<GivenPart> {
  static constexpr const char* kType = "NativeStreamedPart";
  static constexpr Field<GivenPart> kTable[] = {
      field<&GivenPart::file>("file"),
      field<&GivenPart::offset>("offset"),
      field<&GivenPart::bytes>("bytes", 1, int64_t{1} << 40),
      field<&GivenPart::buffer>("buffer"),
  };
};

/** setStream(parts) of a model. */
void setStream(const Napi::CallbackInfo& info, const std::shared_ptr<ModelState>& state);
/** streamState() of a model: counts and the last failure; null where nothing is streamed. */
Napi::Value streamState(const Napi::CallbackInfo& info, const std::shared_ptr<ModelState>& state);

}  // namespace layerwise
