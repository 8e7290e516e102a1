// The decoder as the engine sees it: DecoderSpec (src/model/decoder-spec.ts) with weights in place of names.
// Plain data; checkModel (model-check.cpp) proves that every shape fits before a kernel sees a pointer.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "../kernels/device-kernels.h"
#include "argument-path.h"
#include "block-stream.h"
#include "page-memory.h"
#include "role.h"

namespace layerwise {

/** A weight and maybe a bias, [rows] floats. */
struct Linear {
  PackedMatrix matrix;
  const float* bias = nullptr;
};

enum class NormKind : uint8_t { None, Rms, Layer };

struct Norm {
  NormKind kind = NormKind::None;
  int32_t size = 0;
  float eps = 0;
  const float* weight = nullptr;  // [size]
  const float* bias = nullptr;    // [size], layer norm only
};

/**
 * Rotary embedding: cos/sin = attentionFactor * cos/sin(position * inverseFrequencies[i]), in double, rounded to f32.
 */
struct Rope {
  int32_t dims = 0;  // 0: none
  /** [dims / 2]; the long ones are used for all positions of a sequence longer than originalMaxPositions (longrope). */
  std::vector<double> inverseFrequencies;
  std::vector<double> longInverseFrequencies;  // empty: one regime
  int64_t originalMaxPositions = 0;
  double attentionFactor = 1;
};

struct Attention {
  int32_t heads = 0;
  int32_t kvHeads = 0;
  int32_t headDim = 0;
  float scale = 0;
  /** Key j is seen by query i if j > i - window; 0: no window. */
  int32_t window = 0;
  Rope rope;
  /** Over headDim, each head by itself, or over all heads' channels together. */
  Norm qNorm, kNorm;
};

struct Mlp {
  Activation activation = Activation::Silu;
  bool gated = false;
};

struct Block {
  bool parallel = false;
  bool hasAttention = false;
  bool hasMlp = false;
  /** False while its weights are not loaded (streaming); running it then is an error. */
  bool loaded = false;
  /** The part of the model's stream that its matrices lie in; -1: they stay in memory. */
  int32_t part = -1;
  Norm attentionNorm;
  /** kind None in a parallel block: the MLP shares the attention's normed input. */
  Norm mlpNorm;
  /** Of what attention and MLP give, before it is added to the residual stream. */
  Norm attentionPostNorm, mlpPostNorm;
  /** On what is added to the residual stream. */
  float residualFactor = 1;
  Attention attention;
  Mlp mlp;
  /** Absent where the block has no such part, or no gate. */
  ByRole<Linear> linears;
};

/**
 * A low-rank residual on normed rows: x + up(silu(down(x))), in f32. down [rank, hiddenSize], up [hiddenSize, rank].
 */
struct HeadAdapter {
  PackedMatrix down, up;
  bool present() const { return down.present(); }
};

/** Output head or exit head: norm, maybe an adapter, then a product and maybe one more logit. */
struct Head {
  Norm norm;
  HeadAdapter adapter;
  Linear linear;
  /** One row in f32, the last logit: that the answer is none of the ids. */
  Linear tail;
  /** The part of the model's stream that the product's matrix lies in; -1: it stays in memory. */
  int32_t part = -1;
  /** Logits of a row. */
  int32_t width() const { return linear.matrix.rows + (tail.matrix.present() ? 1 : 0); }
};

/**
 * A low-rank addition to one matrix: y += factor * B (A x), in f32. A [rank, cols], B [rows, rank], both of an f32
 * codec.
 */
struct LowRank {
  PackedMatrix a, b;
  float factor = 1;
  bool present() const { return a.present(); }
};

/** block -> its additions; absent ones are none. */
using Adapter = std::map<int32_t, ByRole<LowRank>>;

struct Model {
  int32_t vocabSize = 0;
  int32_t hiddenSize = 0;
  std::vector<Block> blocks;
  PackedMatrix embedding;
  /** Reads what does not stay in memory; null where all does. */
  std::shared_ptr<BlockStream> stream;
  /** `output` and the exit heads. */
  std::map<std::string, Head> heads;
  std::map<std::string, Adapter> adapters;
  /** Of all caches of the model. */
  PageMemory pageMemory;
};

/** Empty if every shape of the block fits the model and its own parts; else one line that says what does not. */
std::string checkBlock(const Model& model, const Block& block);
std::string checkHead(const Model& model, const Head& head);
std::string checkAdapter(const Model& model, const Adapter& adapter);
/** The same for the additions to blocks [from, to) only; looks at no other block. */
std::string checkAdapterBlocks(const Model& model, const Adapter& adapter, int32_t from, int32_t to);
/** Throws std::invalid_argument where there is no such codec. */
void checkForm(const Path& path, const CodecForm& form);
/** A packed matrix in `length` bytes; throws std::invalid_argument where they are too few or not aligned. */
PackedMatrix matrixIn(const Path& path, const CodecForm& form, int32_t rows, int32_t cols, const uint8_t* bytes,
                      int64_t length);

}  // namespace layerwise
