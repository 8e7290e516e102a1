// Parts of a model that is held are set one by one, each checked against the model before it is taken.
#include <stdexcept>

#include "argument-path.h"
#include "live-parts.h"

namespace layerwise {

namespace {

/** Throws where model-check.cpp found something. */
void requireFit(const Path& path, const std::string& problem) {
  if (!problem.empty()) refuse(path, problem);
}

void requireUnused(const Path& path, int users) {
  if (users > 0) throw std::runtime_error(path.text() + ": in use by a call under way");
}

/** Throws where the model's stream has no such part. */
void requirePart(const Path& path, const Model& model, int32_t part) {
  const int32_t parts = model.stream ? model.stream->count() : 0;
  if (part >= parts) refuse(Path{"part", &path}, "expected one of " + std::to_string(parts) + " streamed parts");
}

int usersOf(const std::map<std::string, int>& users, const std::string& name) {
  const auto found = users.find(name);
  return found == users.end() ? 0 : found->second;
}

std::string number(int64_t value) { return std::to_string(value); }

}  // namespace

LowRank& addAddition(Adapter& adapter, int32_t block, const std::string& role, const Path& path) {
  for (const auto& [known, name] : kRoles) {
    if (role != name) continue;
    LowRank& low = adapter[block][known];
    if (low.present()) refuse(path, "block " + number(block) + " has " + name + " twice");
    return low;
  }
  refuse(Path{"blocks"}, "block " + number(block) + " has no " + role.substr(0, 40));
}

void ModelState::setStream(std::vector<StreamedPart> parts, Shares shares) {
  const Path path{"parts"};
  if (model.stream) refuse(path, "were given already");
  if (parts.empty()) refuse(path, "expected one part at least");
  model.stream = std::make_shared<BlockStream>(std::move(parts), std::move(shares));
}

void ModelState::setEmbedding(const PackedMatrix& matrix, Shares shares) {
  if (matrix.rows != model.vocabSize || matrix.cols != model.hiddenSize) {
    refuse(Path{"matrix"}, "expected " + number(model.vocabSize) + " x " + number(model.hiddenSize) + ", found " +
                               number(matrix.rows) + " x " + number(matrix.cols));
  }
  model.embedding = matrix;
  embeddingShares = std::move(shares);
}

void ModelState::setBlock(size_t index, Block block, Shares shares) {
  requireUnused(Path{"block"}, blockUsers[index]);
  const Path path{"weights"};
  Block& old = model.blocks[index];
  if (block.hasAttention != old.hasAttention ||
      (block.hasAttention &&
       (block.attention.kvHeads != old.attention.kvHeads || block.attention.headDim != old.attention.headDim))) {
    refuse(Path{"attention", &path}, "key/value heads or their size differ from the model's shape");
  }
  requireFit(path, checkBlock(model, block));
  requirePart(path, model, block.part);
  old = std::move(block);
  blockShares[index] = std::move(shares);
}

void ModelState::clearBlock(size_t index) {
  requireUnused(Path{"block"}, blockUsers[index]);
  Block empty;  // keeps the shape that caches are made by
  Block& old = model.blocks[index];
  empty.hasAttention = old.hasAttention;
  empty.attention.kvHeads = old.attention.kvHeads;
  empty.attention.headDim = old.attention.headDim;
  old = std::move(empty);
  blockShares[index].clear();
}

void ModelState::setHead(const std::string& name, const Head& head, Shares shares) {
  const Path path{"head"};
  requireUnused(path, usersOf(headUsers, name));
  requireFit(path, checkHead(model, head));
  requirePart(path, model, head.part);
  model.heads[name] = head;
  headShares[name] = std::move(shares);
}

void ModelState::setAdapter(const std::string& name, Adapter adapter, Shares shares) {
  requireUnused(Path{"name"}, usersOf(adapterUsers, name));
  requireFit(Path{"blocks"}, checkAdapter(model, adapter));
  model.adapters[name] = std::move(adapter);
  adapterShares[name] = std::move(shares);
}

void ModelState::embed(const int32_t* ids, size_t count, float* out) const {
  const Path path{"ids"};
  for (size_t i = 0; i < count; i++) {
    if (ids[i] >= 0 && ids[i] < model.vocabSize) continue;
    refuse(Path{nullptr, &path, static_cast<int64_t>(i)},
           "expected an id below " + number(model.vocabSize) + ", found " + number(ids[i]));
  }
  for (size_t i = 0; i < count; i++) {
    core->kernels.unpackRow(model.embedding, ids[i], out + i * static_cast<size_t>(model.hiddenSize));
  }
}

}  // namespace layerwise
