// Codec forms by their fields.
#pragma once
#include "fields.h"

namespace layerwise {

template <>
struct FieldsOf<CodecForm> {
  static constexpr const char* kType = "NativeCodecForm";
  static constexpr Field<CodecForm> kTable[] = {
      field<&CodecForm::kind>("kind"),           field<&CodecForm::asymmetric>("asymmetric"),
      field<&CodecForm::table>("table"),         field<&CodecForm::twoLevel>("twoLevel"),
      field<&CodecForm::group>("group", 0, 128), field<&CodecForm::keptCount>("keptCount", 0, kChunkCols),
      field<&CodecForm::keptOf>("keptOf", 0, kChunkCols),
  };
  /** That there may be such a codec. */
  static void check(const Path& path, const CodecForm& form) { checkForm(path, form); }
};

}  // namespace layerwise
