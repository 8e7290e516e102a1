// Shapes of single parts are checked here; that they fit each other is checked by engine/model-check.cpp.
#include "weights.h"

#include <iterator>
#include "../kernels/level-tables.h"

namespace layerwise {

namespace {

constexpr int64_t kMaxSide = INT32_MAX;
/** Far beyond any model; byte offsets within a tile stay within 32 bits. */
constexpr int64_t kMaxCols = 1 << 22;

/** The number of a name in a list; throws a RangeError that lists the names. */
template <size_t N>
int choiceOf(Napi::Value value, const Path& path, const char* const (&names)[N]) {
  const std::string found = stringOf(value, path);
  std::string all;
  for (size_t i = 0; i < N; i++) {
    if (found == names[i]) return static_cast<int>(i);
    all += (i ? ", " : "") + std::string(names[i]);
  }
  throwRangeError(value.Env(), path, "expected one of " + all + ", found '" + found.substr(0, 40) + "'");
}

/** A matrix and the bytes that it lies in. */
struct Placed {
  PackedMatrix matrix;
  Elements<uint8_t> bytes;
};

Placed place(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  const CodecForm form = codecFormOf(object, path);
  const auto rows = static_cast<int32_t>(integerField(object, path, "rows", 1, kMaxSide));
  const auto cols = static_cast<int32_t>(integerField(object, path, "cols", 1, kMaxCols));
  const Path bytesPath{"bytes", &path};
  Placed out;
  out.bytes = elementsOf<uint8_t>(object.Get("bytes"), bytesPath);
  const char* problem = nullptr;
  if (!makePackedMatrix(form, rows, cols, out.bytes.data, static_cast<int64_t>(out.bytes.length), &out.matrix,
                        &problem)) {
    throwRangeError(value.Env(), bytesPath,
                    std::string(problem) + " (" + std::to_string(rows) + " x " + std::to_string(cols) + " needs " +
                        std::to_string(packedBytes(form, rows, cols)) + " bytes from a multiple of " +
                        std::to_string(kTileAlign) + ", found " + std::to_string(out.bytes.length) + ")");
  }
  return out;
}

}  // namespace

CodecForm codecFormOf(const Napi::Object& object, const Path& path) {
  static const char* const kKinds[] = {"f32", "f16", "bf16", "q2", "q3", "q4", "q5", "q6", "q8"};
  CodecForm form;
  form.kind = static_cast<CodecKind>(choiceOf(object.Get("kind"), Path{"kind", &path}, kKinds));
  form.asymmetric = booleanField(object, path, "asymmetric");
  form.table = booleanField(object, path, "table");
  form.twoLevel = booleanField(object, path, "twoLevel");
  form.group = static_cast<int32_t>(integerField(object, path, "group", 0, 128));
  if (form.group != 0 && form.group != 32 && form.group != 64 && form.group != 128) {
    throwRangeError(object.Env(), Path{"group", &path},
                    "expected 0, 32, 64 or 128, found " + std::to_string(form.group));
  }
  if (!isInteger(form.kind) && (form.asymmetric || form.group != 0 || form.table || form.twoLevel)) {
    throwRangeError(object.Env(), path, "a float kind has no groups, no table, no two-level scales and is not asymmetric");
  }
  if (form.table && (form.asymmetric || bitsOf(form.kind) > kMostTableBits)) {
    throwRangeError(object.Env(), path, "a table has codes of 2 to 5 bits and is not asymmetric");
  }
  return form;
}

Activation activationOf(Napi::Value value, const Path& path) {
  static const char* const kNames[] = {"silu", "gelu-erf", "gelu-tanh", "relu"};
  return static_cast<Activation>(choiceOf(value, path, kNames));
}

KvType kvTypeOf(Napi::Value value, const Path& path) {
  static const char* const kNames[] = {"f32", "f16", "q8"};
  return static_cast<KvType>(choiceOf(value, path, kNames));
}

PackedMatrix matrixOf(Napi::Value value, const Path& path) { return place(value, path).matrix; }

PackedMatrix WeightReader::matrix(Napi::Value value, const Path& path) {
  const Placed placed = place(value, path);
  auto block = blockOf(placed.bytes.data, placed.bytes.length);
  if (!block) {
    // Held by address: an ordinary ArrayBuffer could be transferred away, and is aligned by chance only.
    throwRangeError(value.Env(), Path{"bytes", &path}, "expected memory from alignedBytes() or mapFile()");
  }
  shares_.push_back(std::move(block));
  return placed.matrix;
}

const float* WeightReader::copy(Napi::Value value, const Path& path, int64_t length) {
  const auto found = elementsOf<float>(value, path, length);
  auto own = std::make_shared<std::vector<float>>(found.data, found.data + found.length);
  const float* const data = own->data();
  shares_.push_back(std::move(own));
  return data;
}

Linear WeightReader::linear(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  Linear out;
  out.matrix = matrix(object.Get("matrix"), Path{"matrix", &path});
  const Napi::Value bias = object.Get("bias");
  if (!isAbsent(bias)) out.bias = copy(bias, Path{"bias", &path}, out.matrix.rows);
  return out;
}

Norm WeightReader::norm(Napi::Value value, const Path& path) {
  static const char* const kNames[] = {"rms", "layer"};
  Norm out;
  if (isAbsent(value)) return out;
  const Napi::Object object = objectOf(value, path);
  out.kind = choiceOf(object.Get("kind"), Path{"kind", &path}, kNames) == 0 ? NormKind::Rms : NormKind::Layer;
  out.eps = static_cast<float>(numberField(object, path, "eps"));
  const Path weightPath{"weight", &path};
  const auto weight = elementsFrom<float>(object.Get("weight"), weightPath, 1);
  if (weight.length > static_cast<size_t>(kMaxSide)) throwRangeError(value.Env(), weightPath, "is too long");
  out.size = static_cast<int32_t>(weight.length);
  out.weight = copy(weight.array, weightPath, out.size);
  const Napi::Value bias = object.Get("bias");
  if (!isAbsent(bias)) out.bias = copy(bias, Path{"bias", &path}, out.size);
  return out;
}

Rope WeightReader::rope(Napi::Value value, const Path& path) {
  Rope out;
  if (isAbsent(value)) return out;
  const Napi::Object object = objectOf(value, path);
  out.dims = static_cast<int32_t>(integerField(object, path, "dims", 2, kMaxSide));
  const auto frequencies =
      elementsOf<double>(object.Get("inverseFrequencies"), Path{"inverseFrequencies", &path}, out.dims / 2);
  out.inverseFrequencies.assign(frequencies.data, frequencies.data + frequencies.length);
  const Napi::Value longOnes = object.Get("longInverseFrequencies");
  if (!isAbsent(longOnes)) {
    const auto found = elementsOf<double>(longOnes, Path{"longInverseFrequencies", &path}, out.dims / 2);
    out.longInverseFrequencies.assign(found.data, found.data + found.length);
  }
  out.originalMaxPositions = integerField(object, path, "originalMaxPositions", 0, int64_t{1} << 52);
  out.attentionFactor = numberField(object, path, "attentionFactor");
  return out;
}

void WeightReader::attention(Napi::Value value, const Path& path, Block* block) {
  const Napi::Object object = objectOf(value, path);
  Attention& out = block->attention;
  out.heads = static_cast<int32_t>(integerField(object, path, "heads", 1, 1 << 16));
  out.kvHeads = static_cast<int32_t>(integerField(object, path, "kvHeads", 1, 1 << 16));
  out.headDim = static_cast<int32_t>(integerField(object, path, "headDim", 1, 1 << 14));
  out.scale = static_cast<float>(numberField(object, path, "scale"));
  out.window = static_cast<int32_t>(integerField(object, path, "window", 0, kMaxSide));
  out.rope = rope(object.Get("rope"), Path{"rope", &path});
  out.qNorm = norm(object.Get("qNorm"), Path{"qNorm", &path});
  out.kNorm = norm(object.Get("kNorm"), Path{"kNorm", &path});
  block->linears[Role::Q] = linear(object.Get("q"), Path{"q", &path});
  block->linears[Role::K] = linear(object.Get("k"), Path{"k", &path});
  block->linears[Role::V] = linear(object.Get("v"), Path{"v", &path});
  block->linears[Role::O] = linear(object.Get("o"), Path{"o", &path});
}

void WeightReader::mlp(Napi::Value value, const Path& path, Block* block) {
  const Napi::Object object = objectOf(value, path);
  Mlp& out = block->mlp;
  out.activation = activationOf(object.Get("activation"), Path{"activation", &path});
  const Napi::Value gate = object.Get("gate");
  out.gated = !isAbsent(gate);
  if (out.gated) block->linears[Role::Gate] = linear(gate, Path{"gate", &path});
  block->linears[Role::Up] = linear(object.Get("up"), Path{"up", &path});
  block->linears[Role::Down] = linear(object.Get("down"), Path{"down", &path});
}

Block WeightReader::block(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  Block out;
  out.parallel = booleanField(object, path, "parallel");
  out.attentionNorm = norm(object.Get("attentionNorm"), Path{"attentionNorm", &path});
  out.attentionPostNorm = norm(object.Get("attentionPostNorm"), Path{"attentionPostNorm", &path});
  out.mlpNorm = norm(object.Get("mlpNorm"), Path{"mlpNorm", &path});
  out.mlpPostNorm = norm(object.Get("mlpPostNorm"), Path{"mlpPostNorm", &path});
  if (!isAbsent(object.Get("residualFactor"))) {
    out.residualFactor = static_cast<float>(numberField(object, path, "residualFactor"));
  }
  const Napi::Value attentionValue = object.Get("attention"), mlpValue = object.Get("mlp");
  out.hasAttention = !isAbsent(attentionValue);
  out.hasMlp = !isAbsent(mlpValue);
  if (out.hasAttention) attention(attentionValue, Path{"attention", &path}, &out);
  if (out.hasMlp) mlp(mlpValue, Path{"mlp", &path}, &out);
  out.loaded = true;
  return out;
}

Head WeightReader::head(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  Head out;
  out.norm = norm(object.Get("norm"), Path{"norm", &path});
  out.linear = linear(object.Get("linear"), Path{"linear", &path});
  const Napi::Value adapter = object.Get("adapter"), tail = object.Get("tail");
  if (!isAbsent(adapter)) out.adapter = headAdapter(adapter, Path{"adapter", &path});
  if (!isAbsent(tail)) out.tail = linear(tail, Path{"tail", &path});
  return out;
}

HeadAdapter WeightReader::headAdapter(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  HeadAdapter out;
  out.down = matrix(object.Get("down"), Path{"down", &path});
  out.up = matrix(object.Get("up"), Path{"up", &path});
  return out;
}

LowRank WeightReader::lowRank(Napi::Value value, const Path& path) {
  const Napi::Object object = objectOf(value, path);
  LowRank out;
  out.a = matrix(object.Get("a"), Path{"a", &path});
  out.b = matrix(object.Get("b"), Path{"b", &path});
  out.factor = static_cast<float>(numberField(object, path, "factor"));
  return out;
}

}  // namespace layerwise
