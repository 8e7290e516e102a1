// Weights of a model: set part by part, each checked against the model before it is taken. Arguments are read first,
// whether the model is open and the part unused is looked at after: a getter of an argument is JavaScript and may call
// the model.
#include "model-object.h"

#include "weights.h"

namespace layerwise {

const napi_type_tag ModelObject::kTag = {0x6c617965722d6d6fULL, 0x64656c2d30303031ULL};

namespace {

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

}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceMethod<&ModelObject::setEmbedding>("setEmbedding"), InstanceMethod<&ModelObject::setBlock>("setBlock"),
       InstanceMethod<&ModelObject::clearBlock>("clearBlock"), InstanceMethod<&ModelObject::setHead>("setHead"),
       InstanceMethod<&ModelObject::setAdapter>("setAdapter"), InstanceMethod<&ModelObject::embed>("embed"),
       InstanceMethod<&ModelObject::createCache>("createCache"), InstanceMethod<&ModelObject::dispose>("dispose"),
       InstanceMethod<&ModelObject::dispose>(Napi::Symbol::WellKnown(env, "dispose"))});
}

Napi::Value ModelObject::setEmbedding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"matrix"};
  WeightReader reader;
  const PackedMatrix matrix = reader.matrix(info[0], path);
  requireOpen(env, *state_);
  Model& model = state_->model;
  if (matrix.rows != model.vocabSize || matrix.cols != model.hiddenSize) {
    throwRangeError(env, path,
                    "expected " + std::to_string(model.vocabSize) + " x " + std::to_string(model.hiddenSize) +
                        ", found " + std::to_string(matrix.rows) + " x " + std::to_string(matrix.cols));
  }
  model.embedding = matrix;
  state_->embeddingShares = reader.takeShares();
  return env.Undefined();
}

size_t ModelObject::freeBlock(Napi::Value value) const {
  const Path path{"block"};
  const auto index =
      static_cast<size_t>(integerOf(value, path, 0, static_cast<int64_t>(state_->model.blocks.size()) - 1));
  requireUnused(value.Env(), path, state_->blockUsers[index]);
  return index;
}

Napi::Value ModelObject::setBlock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"weights"};
  WeightReader reader;
  Block block = reader.block(info[1], path);
  requireOpen(env, *state_);
  const size_t index = freeBlock(info[0]);
  Block& old = state_->model.blocks[index];
  if (block.hasAttention != old.hasAttention ||
      (block.hasAttention &&
       (block.attention.kvHeads != old.attention.kvHeads || block.attention.headDim != old.attention.headDim))) {
    throwRangeError(env, Path{"attention", &path}, "key/value heads or their size differ from the model's shape");
  }
  requireFit(env, path, checkBlock(state_->model, block));
  old = std::move(block);
  state_->blockShares[index] = reader.takeShares();
  return env.Undefined();
}

Napi::Value ModelObject::clearBlock(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  const size_t index = freeBlock(info[0]);
  Block empty;  // keeps the shape that caches are made by
  Block& old = state_->model.blocks[index];
  empty.hasAttention = old.hasAttention;
  empty.attention.kvHeads = old.attention.kvHeads;
  empty.attention.headDim = old.attention.headDim;
  old = std::move(empty);
  state_->blockShares[index].clear();
  return info.Env().Undefined();
}

Napi::Value ModelObject::setHead(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string name = stringOf(info[0], Path{"name"});
  const Path path{"head"};
  WeightReader reader;
  const Head head = reader.head(info[1], path);
  requireOpen(env, *state_);
  requireUnused(env, path, usersOf(state_->headUsers, name));
  requireFit(env, path, checkHead(state_->model, head));
  state_->model.heads[name] = head;
  state_->headShares[name] = reader.takeShares();
  return env.Undefined();
}

Napi::Value ModelObject::setAdapter(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  requireOpen(env, *state_);
  const std::string name = stringOf(info[0], Path{"name"});
  const Path path{"blocks"};
  if (!info[1].IsArray()) throwTypeError(env, path, "expected an array");
  const auto parts = info[1].As<Napi::Array>();
  WeightReader reader;
  Adapter adapter;
  for (uint32_t i = 0; i < parts.Length(); i++) {
    const Path at{nullptr, &path, i};
    const Napi::Object part = objectOf(parts.Get(i), at);
    const auto block =
        static_cast<int32_t>(integerField(part, at, "block", 0, static_cast<int64_t>(state_->model.blocks.size()) - 1));
    const Role role = roleOf(env, stringField(part, at, "role"), path, block);
    LowRank& low = adapter[block][role];
    if (low.present()) throwRangeError(env, at, "block " + std::to_string(block) + " has " + nameOf(role) + " twice");
    low = reader.lowRank(part.Get("lowRank"), Path{"lowRank", &at});
  }
  requireOpen(env, *state_);
  requireUnused(env, Path{"name"}, usersOf(state_->adapterUsers, name));
  requireFit(env, path, checkAdapter(state_->model, adapter));
  state_->model.adapters[name] = std::move(adapter);
  state_->adapterShares[name] = reader.takeShares();
  return env.Undefined();
}

Napi::Value ModelObject::embed(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  requireOpen(env, *state_);
  const Model& model = state_->model;
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
    state_->core->kernels.unpackRow(model.embedding, ids.data[i], out.data + i * static_cast<size_t>(model.hiddenSize));
  }
  return env.Undefined();
}

Napi::Value ModelObject::createCache(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"options"};
  const Napi::Object options = objectOf(info[0], path);
  const auto maxTokens = static_cast<int32_t>(integerField(options, path, "maxTokens", 1, 1 << 30));
  const KvType type = kvTypeOf(options.Get("kvType"), Path{"kvType", &path});
  requireOpen(env, *state_);
  auto cache = std::make_shared<CacheState>();
  cache->model = state_;
  cache->cache = std::make_unique<KvCache>(state_->model, maxTokens, type);
  return CacheObject::create(env, env.GetInstanceData<AddonData>()->cache, std::move(cache));
}

Napi::Value ModelObject::dispose(const Napi::CallbackInfo& info) {
  if (state_->disposed) return info.Env().Undefined();
  state_->disposed = true;
  // Calls under way hold the state, and through it the weights; without any they go now, not when the collector comes.
  state_->releaseWhenIdle();
  return info.Env().Undefined();
}

}  // namespace layerwise
