// Shapes of a model's parts, checked when they are given to the engine: no kernel ever sees a size that does not fit.
#include <cmath>

#include "../kernels/level-tables.h"
#include "model.h"

namespace layerwise {

namespace {

/** Most columns of any activation: products of a few of them stay far from overflow. */
constexpr int64_t kMostCols = int64_t{1} << 26;

std::string number(int64_t value) { return std::to_string(value); }

std::string shape(int64_t rows, int64_t cols) { return "[" + number(rows) + ", " + number(cols) + "]"; }

/** The first problem, or empty. */
std::string firstOf(std::initializer_list<std::string> problems) {
  for (const std::string& problem : problems) {
    if (!problem.empty()) return problem;
  }
  return "";
}

std::string checkLinear(const char* name, const Linear& linear, int64_t rows, int64_t cols) {
  const PackedMatrix& w = linear.matrix;
  if (!w.present()) return std::string(name) + " is absent";
  if (w.rows == rows && w.cols == cols) return "";
  return std::string(name) + ": expected a matrix of " + shape(rows, cols) + ", found " + shape(w.rows, w.cols);
}

std::string checkNorm(const char* name, const Norm& norm, int64_t size) {
  if (norm.kind == NormKind::None) return "";
  if (norm.size != size) {
    return std::string(name) + ": expected a norm of " + number(size) + ", found " + number(norm.size);
  }
  if (norm.weight == nullptr) return std::string(name) + " has no weight";
  if (norm.kind == NormKind::Layer && norm.bias == nullptr) return std::string(name) + " has no bias";
  if (!std::isfinite(norm.eps) || norm.eps < 0) return std::string(name) + ": eps is not a number of 0 or more";
  return "";
}

std::string checkFrequencies(const std::vector<double>& frequencies, int32_t dims) {
  const int64_t count = static_cast<int64_t>(frequencies.size());
  if (count != dims / 2) return "rope: expected " + number(dims / 2) + " frequencies, found " + number(count);
  for (const double frequency : frequencies) {
    if (!std::isfinite(frequency)) return "rope: a frequency is not finite";
  }
  return "";
}

std::string checkRope(const Rope& rope, int32_t headDim) {
  if (rope.dims == 0) return "";
  if (rope.dims < 0 || rope.dims % 2 != 0 || rope.dims > headDim) {
    return "rope: expected an even number of dims, at most " + number(headDim) + ", found " + number(rope.dims);
  }
  if (!std::isfinite(rope.attentionFactor)) return "rope: the attention factor is not finite";
  const std::string problem = checkFrequencies(rope.inverseFrequencies, rope.dims);
  if (!problem.empty() || rope.longInverseFrequencies.empty()) return problem;
  return checkFrequencies(rope.longInverseFrequencies, rope.dims);
}

std::string checkHeads(const Attention& a) {
  if (a.heads < 1 || a.kvHeads < 1 || a.headDim < 1) return "attention: heads, kvHeads and headDim must be 1 or more";
  if (static_cast<int64_t>(a.heads) * a.headDim > kMostCols) {
    return "attention: " + number(a.heads) + " heads are too many";
  }
  if (a.heads % a.kvHeads != 0) {
    return "attention: " + number(a.heads) + " heads cannot share " + number(a.kvHeads) + " key/value heads";
  }
  if (a.window < 0) return "attention: a window of " + number(a.window);
  return std::isfinite(a.scale) ? "" : "attention: the scale is not finite";
}

std::string checkMatrix(const Block& block, Role role, int64_t rows, int64_t cols) {
  return checkLinear(nameOf(role), block.linears[role], rows, cols);
}

/** Of each head by itself, or of all heads together. */
std::string checkHeadNorm(const char* name, const Norm& norm, int64_t headDim, int64_t all) {
  return checkNorm(name, norm, norm.size == all ? all : headDim);
}

std::string checkAttention(const Model& model, const Block& block) {
  const Attention& a = block.attention;
  const std::string problem = checkHeads(a);
  if (!problem.empty()) return problem;
  const int64_t queries = static_cast<int64_t>(a.heads) * a.headDim;
  const int64_t keys = static_cast<int64_t>(a.kvHeads) * a.headDim;
  return firstOf({checkRope(a.rope, a.headDim), checkHeadNorm("attn.qNorm", a.qNorm, a.headDim, queries),
                  checkHeadNorm("attn.kNorm", a.kNorm, a.headDim, keys),
                  checkMatrix(block, Role::Q, queries, model.hiddenSize),
                  checkMatrix(block, Role::K, keys, model.hiddenSize),
                  checkMatrix(block, Role::V, keys, model.hiddenSize),
                  checkMatrix(block, Role::O, model.hiddenSize, queries)});
}

std::string checkMlp(const Model& model, const Block& block) {
  const PackedMatrix& up = block.linears[Role::Up].matrix;
  if (!up.present()) return "mlp.up is absent";
  const int64_t width = up.rows;
  if (width > kMostCols) return "mlp.up: " + number(width) + " rows are too many";
  return firstOf({checkMatrix(block, Role::Up, width, model.hiddenSize),
                  block.mlp.gated ? checkMatrix(block, Role::Gate, width, model.hiddenSize) : "",
                  checkMatrix(block, Role::Down, model.hiddenSize, width)});
}

/** `matrix` null: its block is not loaded, the two parts are held against each other only. */
std::string checkLowRank(const LowRank& low, const PackedMatrix* matrix) {
  if (!low.b.present()) return "b is absent";
  if (isInteger(low.a.kind) || isInteger(low.b.kind)) return "a and b must be of a float codec";
  if (low.a.rows > kMostCols) return "rank " + number(low.a.rows) + " is too large";
  if (low.b.cols != low.a.rows) return "a has rank " + number(low.a.rows) + ", b has " + number(low.b.cols);
  if (!std::isfinite(low.factor)) return "the factor is not finite";
  if (matrix == nullptr || (low.b.rows == matrix->rows && low.a.cols == matrix->cols)) return "";
  const std::string found = shape(low.b.rows, low.a.cols);
  return "expected an addition to " + shape(matrix->rows, matrix->cols) + ", found one to " + found;
}

std::string checkHeadAdapter(const Model& model, const HeadAdapter& adapter) {
  if (!adapter.down.present() && !adapter.up.present()) return "";
  const int64_t rank = adapter.down.rows;
  if (rank > kMostCols) return "adapter: rank " + number(rank) + " is too large";
  return firstOf({checkLinear("adapter.down", {adapter.down, nullptr}, rank, model.hiddenSize),
                  checkLinear("adapter.up", {adapter.up, nullptr}, model.hiddenSize, rank)});
}

std::string checkTail(const Model& model, const Head& head) {
  if (!head.tail.matrix.present()) return "";
  // The width, ids and tail, is a number of 32 bits.
  if (head.linear.matrix.rows == INT32_MAX) return "tail: the matrix has too many rows";
  if (head.tail.matrix.kind != CodecKind::F32) return "tail must be of the f32 codec";
  return checkLinear("tail", head.tail, 1, model.hiddenSize);
}

}  // namespace

std::string checkBlock(const Model& model, const Block& block) {
  if (model.hiddenSize < 1 || model.hiddenSize > kMostCols) return "hiddenSize: " + number(model.hiddenSize);
  return firstOf({checkNorm("attn.norm", block.attentionNorm, model.hiddenSize),
                  checkNorm("attn.postNorm", block.attentionPostNorm, model.hiddenSize),
                  checkNorm("mlp.norm", block.mlpNorm, model.hiddenSize),
                  checkNorm("mlp.postNorm", block.mlpPostNorm, model.hiddenSize),
                  std::isfinite(block.residualFactor) ? "" : "the residual factor is not finite",
                  block.hasAttention ? checkAttention(model, block) : "",
                  block.hasMlp ? checkMlp(model, block) : ""});
}

std::string checkHead(const Model& model, const Head& head) {
  if (!head.linear.matrix.present()) return "the matrix is absent";
  return firstOf({checkNorm("norm", head.norm, model.hiddenSize), checkHeadAdapter(model, head.adapter),
                  checkTail(model, head),
                  checkLinear("matrix", head.linear, head.linear.matrix.rows, model.hiddenSize)});
}

std::string checkAdapter(const Model& model, const Adapter& adapter) {
  const int32_t blocks = static_cast<int32_t>(model.blocks.size());
  if (!adapter.empty() && adapter.begin()->first < 0)
    return "block " + number(adapter.begin()->first) + " does not exist";
  if (!adapter.empty() && adapter.rbegin()->first >= blocks) {
    return "block " + number(adapter.rbegin()->first) + " does not exist";
  }
  return checkAdapterBlocks(model, adapter, 0, blocks);
}

std::string checkAdapterBlocks(const Model& model, const Adapter& adapter, int32_t from, int32_t to) {
  for (auto entry = adapter.lower_bound(from); entry != adapter.end() && entry->first < to; ++entry) {
    const Block& block = model.blocks[static_cast<size_t>(entry->first)];
    for (const auto& [role, name] : kRoles) {
      const LowRank& low = entry->second[role];
      if (!low.present()) continue;
      const PackedMatrix& matrix = block.linears[role].matrix;
      if (block.loaded && !matrix.present()) return "block " + number(entry->first) + " has no " + name;
      const std::string problem = checkLowRank(low, block.loaded ? &matrix : nullptr);
      if (!problem.empty()) return "block " + number(entry->first) + ", " + name + ": " + problem;
    }
  }
  return "";
}

void checkForm(const Path& path, const CodecForm& form) {
  if (form.group != 0 && form.group != 32 && form.group != 64 && form.group != 128) {
    refuse(Path{"group", &path}, "expected 0, 32, 64 or 128, found " + number(form.group));
  }
  if (!isInteger(form.kind) && (form.asymmetric || form.group != 0 || form.table || form.twoLevel)) {
    refuse(path, "a float kind has no groups, no table, no two-level scales and is not asymmetric");
  }
  if (form.table && (form.asymmetric || bitsOf(form.kind) > kMostTableBits)) {
    refuse(path, "a table has codes of 2 to 5 bits and is not asymmetric");
  }
  if (!sensibleSparsity(form)) {
    refuse(path, "a sparse kind has 3, 4 or 8 bits, groups of 32, f16 scales, and keeps 8, 16 or 24 of 32 or 2 of 4");
  }
}

PackedMatrix matrixIn(const Path& path, const CodecForm& form, int32_t rows, int32_t cols, const uint8_t* bytes,
                      int64_t length) {
  PackedMatrix out;
  const char* problem = nullptr;
  if (makePackedMatrix(form, rows, cols, bytes, length, &out, &problem)) return out;
  refuse(path, std::string(problem) + " (" + number(rows) + " x " + number(cols) + " needs " +
                   number(packedBytes(form, rows, cols)) + " bytes from a multiple of " + number(kTileAlign) +
                   ", found " + number(length) + ")");
}

}  // namespace layerwise
