// NativeModel: its weights are set part by part, each checked against the model before it is taken. Arguments are read
// first, whether the model is open and the part unused is looked at after: a getter of an argument is JavaScript and
// may call the model.
#include "handle.h"
#include "stream-fields.h"
#include "weight-fields.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<ModelState>;
using Call = Napi::CallbackInfo;

int64_t lastBlock(const ModelState& state) { return static_cast<int64_t>(state.model.blocks.size()) - 1; }

size_t blockNumber(Napi::Value value, const ModelState& state) {
  return static_cast<size_t>(integerOf(value, Path{"block"}, 0, lastBlock(state)));
}

void setEmbedding(const Call& info, const State& state) {
  Reader reader;
  PackedMatrix matrix;
  readObject(reader, info[0], Path{"matrix"}, matrix);
  requireOpen(*state);
  state->setEmbedding(matrix, std::move(reader.shares));
}

void setBlock(const Call& info, const State& state) {
  Reader reader;
  Block block;
  readObject(reader, info[1], Path{"weights"}, block);
  requireOpen(*state);
  state->setBlock(blockNumber(info[0], *state), std::move(block), std::move(reader.shares));
}

void clearBlock(const Call& info, const State& state) { state->clearBlock(blockNumber(info[0], *state)); }

void setHead(const Call& info, const State& state) {
  const std::string name = stringOf(info[0], Path{"name"});
  Reader reader;
  Head head;
  readObject(reader, info[1], Path{"head"}, head);
  requireOpen(*state);
  state->setHead(name, head, std::move(reader.shares));
}

void setAdapter(const Call& info, const State& state) {
  const std::string name = stringOf(info[0], Path{"name"});
  const Path path{"blocks"};
  Reader reader;
  Adapter adapter;
  forEach(info[1], path, [&](Napi::Value element, const Path& at) {
    const Napi::Object part = objectOf(element, at);
    const auto block = static_cast<int32_t>(integerOf(part.Get("block"), Path{"block", &at}, 0, lastBlock(*state)));
    LowRank& low = addAddition(adapter, block, stringOf(part.Get("role"), Path{"role", &at}), at);
    readObject(reader, part.Get("lowRank"), Path{"lowRank", &at}, low);
  });
  requireOpen(*state);
  state->setAdapter(name, std::move(adapter), std::move(reader.shares));
}

void embed(const Call& info, const State& state) {
  const Model& model = state->model;
  if (!model.embedding.present()) {
    throw std::runtime_error("the model has no embedding yet: call setEmbedding first");
  }
  const auto ids = elementsOf<int32_t>(info[0], Path{"ids"});
  const auto out = elementsOf<float>(info[1], Path{"out"}, static_cast<int64_t>(ids.length) * model.hiddenSize);
  state->embed(ids.data, ids.length, out.data);
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
  requireOpen(*state);
  auto cache = std::make_shared<CacheState>();
  cache->model = state;
  cache->cache = std::make_unique<KvCache>(state->model, options.maxTokens, options.kvType);
  return Handle<CacheKind>::create(info.Env(), std::move(cache));
}

}  // namespace

Napi::Function defineModel(Napi::Env env) {
  using Model = Handle<ModelKind>;
  return Model::defineDisposable(env, {Model::method<setEmbedding>("setEmbedding"), Model::method<setBlock>("setBlock"),
                                      Model::method<clearBlock>("clearBlock"), Model::method<setHead>("setHead"),
                                      Model::method<setAdapter>("setAdapter"), Model::method<embed>("embed"),
                                      Model::method<createCache>("createCache"),
                                      Model::method<setStream>("setStream"),
                                      Model::method<streamState>("streamState")});
}

}  // namespace layerwise
