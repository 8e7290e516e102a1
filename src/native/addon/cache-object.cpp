// A sequence's cache: read and changed only while no pass uses it.
#include "arguments.h"
#include "model-object.h"

namespace layerwise {

const napi_type_tag CacheObject::kTag = {0x6c617965722d6b76ULL, 0x63616368652d3031ULL};

Napi::Function CacheObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceMethod<&CacheObject::length>("length"), InstanceMethod<&CacheObject::truncate>("truncate"),
       InstanceMethod<&CacheObject::fork>("fork"), InstanceMethod<&CacheObject::byteLength>("byteLength"),
       InstanceMethod<&CacheObject::setReserved>("setReserved"), InstanceMethod<&CacheObject::dispose>("dispose"),
       InstanceMethod<&CacheObject::dispose>(Napi::Symbol::WellKnown(env, "dispose"))});
}

CacheObject::~CacheObject() {
  if (state_) reportBytes(Env(), *state_, 0);
}

void reportBytes(Napi::Env env, CacheState& cache, int64_t bytes) {
  if (bytes != cache.reportedBytes) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - cache.reportedBytes);
  cache.reportedBytes = bytes;
}

KvCache& CacheObject::idle(Napi::Env env) const {
  requireOpen(env, *state_);
  if (state_->users > 0) throwError(env, "the native cache is in use by a call under way");
  return *state_->cache;
}

Napi::Value CacheObject::length(const Napi::CallbackInfo& info) {
  const KvCache& cache = idle(info.Env());
  const int64_t last = static_cast<int64_t>(state_->model->blockUsers.size()) - 1;
  return Napi::Number::New(info.Env(), cache.length(static_cast<int32_t>(integerOf(info[0], Path{"block"}, 0, last))));
}

Napi::Value CacheObject::truncate(const Napi::CallbackInfo& info) {
  KvCache& cache = idle(info.Env());
  const auto length = static_cast<int32_t>(integerOf(info[0], Path{"length"}, 0, INT32_MAX));
  const int64_t blocks = static_cast<int64_t>(state_->model->blockUsers.size());
  const auto fromBlock = static_cast<int32_t>(integerOf(info[1], Path{"fromBlock"}, 0, blocks));
  try {
    cache.truncate(length, fromBlock);
  } catch (const std::invalid_argument& problem) {
    throw Napi::RangeError::New(info.Env(), problem.what());
  }
  reportBytes(info.Env(), *state_, cache.byteLength());
  return info.Env().Undefined();
}

Napi::Value CacheObject::fork(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  KvCache& cache = idle(env);
  requireOpen(env, *state_->model);
  auto copy = std::make_shared<CacheState>();
  copy->model = state_->model;
  copy->cache = cache.fork();
  return CacheObject::create(env, env.GetInstanceData<AddonData>()->cache, std::move(copy));
}

Napi::Value CacheObject::byteLength(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(idle(info.Env()).byteLength()));
}

Napi::Value CacheObject::setReserved(const Napi::CallbackInfo& info) {
  KvCache& cache = idle(info.Env());
  cache.reservedTokens = integerOf(info[0], Path{"totalTokens"}, 0, int64_t{1} << 52);
  return info.Env().Undefined();
}

Napi::Value CacheObject::dispose(const Napi::CallbackInfo& info) {
  state_->disposed = true;
  state_->releaseWhenIdle();
  reportBytes(info.Env(), *state_, 0);
  return info.Env().Undefined();
}

}  // namespace layerwise
