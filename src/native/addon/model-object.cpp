// NativeModel: its weights are set part by part, each checked against the model before it is taken. Arguments are read
// first, whether the model is open and the part unused is looked at after: a getter of an argument is JavaScript and
// may call the model.
#include "handle.h"
#include "weight-fields.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<ModelState>;
using Call = Napi::CallbackInfo;

/** Throws where engine/model-check.cpp found something. */
void requireFit(Napi::Env env, const Path& path, const std::string& problem) {
  if (!problem.empty()) throwRangeError(env, path, problem);
}

void requireUnused(Napi::Env env, const Path& path, int users) {
  if (users > 0) throwError(env, path.text() + ": in use by a call under way");
}

/** The role of that name; `blocks` and the block's number are for the message. */
Role roleOf(Napi::Env env, const std::string& name, const Path& blocks, int32_t block) {
  for (const auto& [role, known] : kRoles) {
    if (name == known) return role;
  }
  throwRangeError(env, blocks, "block " + std::to_string(block) + " has no " + name.substr(0, 40));
}

int usersOf(const std::map<std::string, int>& users, const std::string& name) {
  const auto found = users.find(name);
  return found == users.end() ? 0 : found->second;
}

void setEmbedding(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const Path path{"matrix"};
  Reader reader;
  PackedMatrix matrix;
  readObject(reader, info[0], path, matrix);
  requireOpen(env, *state);
  Model& model = state->model;
  if (matrix.rows != model.vocabSize || matrix.cols != model.hiddenSize) {
    throwRangeError(env, path,
                    "expected " + std::to_string(model.vocabSize) + " x " + std::to_string(model.hiddenSize) +
                        ", found " + std::to_string(matrix.rows) + " x " + std::to_string(matrix.cols));
  }
  model.embedding = matrix;
  state->embeddingShares = std::move(reader.shares);
}

int64_t lastBlock(const ModelState& state) { return static_cast<int64_t>(state.model.blocks.size()) - 1; }

/** Number of a block that no call under way uses. */
size_t freeBlock(Napi::Value value, const ModelState& state) {
  const Path path{"block"};
  const auto index = static_cast<size_t>(integerOf(value, path, 0, lastBlock(state)));
  requireUnused(value.Env(), path, state.blockUsers[index]);
  return index;
}

void setBlock(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const Path path{"weights"};
  Reader reader;
  Block block;
  readObject(reader, info[1], path, block);
  requireOpen(env, *state);
  const size_t index = freeBlock(info[0], *state);
  Block& old = state->model.blocks[index];
  if (block.hasAttention != old.hasAttention ||
      (block.hasAttention &&
       (block.attention.kvHeads != old.attention.kvHeads || block.attention.headDim != old.attention.headDim))) {
    throwRangeError(env, Path{"attention", &path}, "key/value heads or their size differ from the model's shape");
  }
  requireFit(env, path, checkBlock(state->model, block));
  old = std::move(block);
  state->blockShares[index] = std::move(reader.shares);
}

void clearBlock(const Call& info, const State& state) {
  const size_t index = freeBlock(info[0], *state);
  Block empty;  // keeps the shape that caches are made by
  Block& old = state->model.blocks[index];
  empty.hasAttention = old.hasAttention;
  empty.attention.kvHeads = old.attention.kvHeads;
  empty.attention.headDim = old.attention.headDim;
  old = std::move(empty);
  state->blockShares[index].clear();
}

void setHead(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const std::string name = stringOf(info[0], Path{"name"});
  const Path path{"head"};
  Reader reader;
  Head head;
  readObject(reader, info[1], path, head);
  requireOpen(env, *state);
  requireUnused(env, path, usersOf(state->headUsers, name));
  requireFit(env, path, checkHead(state->model, head));
  state->model.heads[name] = head;
  state->headShares[name] = std::move(reader.shares);
}

void setAdapter(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const std::string name = stringOf(info[0], Path{"name"});
  const Path path{"blocks"};
  Reader reader;
  Adapter adapter;
  forEach(info[1], path, [&](Napi::Value element, const Path& at) {
    const Napi::Object part = objectOf(element, at);
    const auto block = static_cast<int32_t>(integerOf(part.Get("block"), Path{"block", &at}, 0, lastBlock(*state)));
    const Role role = roleOf(env, stringOf(part.Get("role"), Path{"role", &at}), path, block);
    LowRank& low = adapter[block][role];
    if (low.present()) throwRangeError(env, at, "block " + std::to_string(block) + " has " + nameOf(role) + " twice");
    readObject(reader, part.Get("lowRank"), Path{"lowRank", &at}, low);
  });
  requireOpen(env, *state);
  requireUnused(env, Path{"name"}, usersOf(state->adapterUsers, name));
  requireFit(env, path, checkAdapter(state->model, adapter));
  state->model.adapters[name] = std::move(adapter);
  state->adapterShares[name] = std::move(reader.shares);
}

void embed(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const Model& model = state->model;
  if (!model.embedding.present()) throwError(env, "the model has no embedding yet: call setEmbedding first");
  const Path idsPath{"ids"};
  const auto ids = elementsOf<int32_t>(info[0], idsPath);
  const auto out = elementsOf<float>(info[1], Path{"out"}, static_cast<int64_t>(ids.length) * model.hiddenSize);
  for (size_t i = 0; i < ids.length; i++) {
    if (ids.data[i] >= 0 && ids.data[i] < model.vocabSize) continue;
    throwRangeError(
        env, Path{nullptr, &idsPath, static_cast<int64_t>(i)},
        "expected an id below " + std::to_string(model.vocabSize) + ", found " + std::to_string(ids.data[i]));
  }
  for (size_t i = 0; i < ids.length; i++) {
    state->core->kernels.unpackRow(model.embedding, ids.data[i], out.data + i * static_cast<size_t>(model.hiddenSize));
  }
}

struct CacheOptions {
  int32_t maxTokens = 0;
  KvType kvType = KvType::F32;
};
constexpr Field<CacheOptions> kCacheFields[] = {
    field<&CacheOptions::maxTokens>("maxTokens", 1, 1 << 30),
    field<&CacheOptions::kvType>("kvType"),
};

Napi::Value createCache(const Call& info, const State& state) {
  const Path path{"options"};
  Reader reader;
  CacheOptions options;
  readTable(reader, objectOf(info[0], path), path, kCacheFields, options);
  requireOpen(info.Env(), *state);
  auto cache = std::make_shared<CacheState>();
  cache->model = state;
  cache->cache = std::make_unique<KvCache>(state->model, options.maxTokens, options.kvType);
  return Handle<CacheKind>::create(info.Env(), std::move(cache));
}

void dispose(const Call& info, const State& state) {
  if (state->disposed) return;
  state->disposed = true;
  // Calls under way hold the state, and through it the weights; without any they go now, not when the collector comes.
  state->releaseWhenIdle();
}

}  // namespace

Napi::Function defineModel(Napi::Env env) {
  using Model = Handle<ModelKind>;
  return Model::define<dispose>(env, {Model::method<setEmbedding>("setEmbedding"), Model::method<setBlock>("setBlock"),
                                      Model::method<clearBlock>("clearBlock"), Model::method<setHead>("setHead"),
                                      Model::method<setAdapter>("setAdapter"), Model::method<embed>("embed"),
                                      Model::method<createCache>("createCache")});
}

}  // namespace layerwise
