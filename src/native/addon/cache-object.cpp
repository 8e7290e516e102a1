// NativeCache: a sequence's cache, read and changed only while no pass uses it.
#include "handle.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<CacheState>;
using Call = Napi::CallbackInfo;

/** The cache, where no pass uses it. */
KvCache& idle(const CacheState& state) {
  if (state.users > 0) throw std::runtime_error("the native cache is in use by a call under way");
  return *state.cache;
}

int32_t length(const Call& info, const State& state) {
  const KvCache& cache = idle(*state);
  const int64_t last = static_cast<int64_t>(state->model->blockUsers.size()) - 1;
  return cache.length(static_cast<int32_t>(integerOf(info[0], Path{"block"}, 0, last)));
}

void truncate(const Call& info, const State& state) {
  KvCache& cache = idle(*state);
  const auto length = static_cast<int32_t>(integerOf(info[0], Path{"length"}, 0, INT32_MAX));
  const int64_t blocks = static_cast<int64_t>(state->model->blockUsers.size());
  const auto fromBlock = static_cast<int32_t>(integerOf(info[1], Path{"fromBlock"}, 0, blocks));
  cache.truncate(length, fromBlock);
  report(info.Env(), *state, cache.byteLength());
}

Napi::Value fork(const Call& info, const State& state) {
  KvCache& cache = idle(*state);
  requireOpen(*state->model);
  auto copy = std::make_shared<CacheState>();
  copy->model = state->model;
  copy->cache = cache.fork();
  return Handle<CacheKind>::create(info.Env(), std::move(copy));
}

double byteLength(const Call&, const State& state) {
  return static_cast<double>(idle(*state).byteLength());
}

void setReserved(const Call& info, const State& state) {
  idle(*state).reservedTokens = integerOf(info[0], Path{"totalTokens"}, 0, int64_t{1} << 52);
}

}  // namespace

Napi::Function defineCache(Napi::Env env) {
  using Cache = Handle<CacheKind>;
  return Cache::defineDisposable(
      env, {Cache::method<length>("length"), Cache::method<truncate>("truncate"), Cache::method<fork>("fork"),
            Cache::method<byteLength>("byteLength"), Cache::method<setReserved>("setReserved")});
}

}  // namespace layerwise
