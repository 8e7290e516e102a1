// Weights from JavaScript as the engine's plain structures. Matrices are used where they lie, small vectors are copied.
#pragma once
#include <napi.h>

#include "arguments.h"
#include "engine-core.h"

namespace layerwise {

/** A codec form from an object with kind, asymmetric and group. */
CodecForm codecFormOf(const Napi::Object& object, const Path& path);

/** `silu`, `gelu-erf`, `gelu-tanh`, `relu` */
Activation activationOf(Napi::Value value, const Path& path);
/** `f32`, `f16`, `q8` */
KvType kvTypeOf(Napi::Value value, const Path& path);

/** A matrix for the length of a synchronous call: any array that is aligned. */
PackedMatrix matrixOf(Napi::Value value, const Path& path);

/** Reads weights that stay; collects what keeps their memory. */
class WeightReader {
 public:
  PackedMatrix matrix(Napi::Value value, const Path& path);
  Head head(Napi::Value value, const Path& path);
  Block block(Napi::Value value, const Path& path);
  LowRank lowRank(Napi::Value value, const Path& path);
  Shares takeShares() { return std::move(shares_); }

 private:
  Linear linear(Napi::Value value, const Path& path);
  Norm norm(Napi::Value value, const Path& path);
  HeadAdapter headAdapter(Napi::Value value, const Path& path);
  Rope rope(Napi::Value value, const Path& path);
  void attention(Napi::Value value, const Path& path, Block* out);
  void mlp(Napi::Value value, const Path& path, Block* out);
  const float* copy(Napi::Value value, const Path& path, int64_t length);

  Shares shares_;
};

}  // namespace layerwise
