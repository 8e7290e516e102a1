// Arguments of the offline maths, checked: sizes against each other and against the arrays.
#pragma once
#include <utility>
#include <vector>

#include "../offline/offline.h"
#include "arguments.h"

namespace layerwise {

/** A call with the arrays that it uses, and where their elements were when they were looked at. */
template <class Call>
struct OfflineCall {
  Call call;
  std::vector<std::pair<Napi::Value, const void*>> arrays;
};

/** Throws where an array was detached after it was looked at, by a getter of a later argument. */
void requireInPlace(Napi::Value array, const void* data);

OfflineCall<offline::Gptq> gptqOf(const Napi::CallbackInfo& info);
OfflineCall<offline::ScaleSearch> scaleSearchOf(const Napi::CallbackInfo& info);
OfflineCall<offline::Refine> refineOf(const Napi::CallbackInfo& info);

struct HessianErrorCall {
  const float* w;
  const float* values;
  const float* gram;
  int64_t rows, cols;
};
OfflineCall<HessianErrorCall> hessianErrorOf(const Napi::CallbackInfo& info);
OfflineCall<offline::RowComparison> rowComparisonOf(const Napi::CallbackInfo& info);
OfflineCall<offline::PackCall> packOf(const Napi::CallbackInfo& info);

struct GramCall {
  const float* x;
  int64_t rows, cols;
  float factor;
  float* h;
};
OfflineCall<GramCall> gramOf(const Napi::CallbackInfo& info);

/** A square matrix [n, n] and n. */
struct SquareCall {
  double* a;
  int64_t n;
};
OfflineCall<SquareCall> squareOf(const Napi::CallbackInfo& info, const char* name);

}  // namespace layerwise
