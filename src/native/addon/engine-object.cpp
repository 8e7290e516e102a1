// An engine: makes models and contexts, and multiplies packed matrices by itself.
#include "engine-object.h"

#include <cstring>

#include "context-object.h"
#include "kernels-object.h"
#include "model-object.h"
#include "offline-object.h"
#include "products.h"
#include "weights.h"

namespace layerwise {

const napi_type_tag EngineObject::kTag = {0x6c617965722d656eULL, 0x67696e652d303031ULL};

namespace {

/** More threads than any machine of today has cores. */
constexpr int kMaxThreads = 1024;
constexpr int kMaxBlocks = 1 << 16;
/** Rows of a synchronous product. */
constexpr int64_t kMaxRows = 1 << 26;

/** A matrix and two arrays of whole rows. */
struct ProductCall {
  PackedMatrix w;
  const float* x;
  float* y;
  int32_t rows;
};

ProductCall productCall(const Napi::CallbackInfo& info, const char* inName, const char* outName, bool transposed) {
  const Napi::Env env = info.Env();
  ProductCall call;
  call.w = matrixOf(info[0], Path{"w"});
  const int64_t inCols = transposed ? call.w.rows : call.w.cols, outCols = transposed ? call.w.cols : call.w.rows;
  const Path inPath{inName}, outPath{outName};
  const auto x = elementsOf<float>(info[1], inPath);
  const auto length = static_cast<int64_t>(x.length);
  if (length == 0 || length % inCols != 0 || length / inCols > kMaxRows) {
    throwRangeError(env, inPath,
                    "expected whole rows of " + std::to_string(inCols) + " elements, found " + std::to_string(length) +
                        " elements");
  }
  const auto y = elementsOf<float>(info[2], outPath, length / inCols * outCols);
  refuseOverlap(env, outPath, x, y, false);
  call.x = x.data;
  call.y = y.data;
  call.rows = static_cast<int32_t>(length / inCols);
  return call;
}

}  // namespace

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceAccessor<&EngineObject::isa>("isa"), InstanceAccessor<&EngineObject::threads>("threads"),
       InstanceAccessor<&EngineObject::offline>("offline"), InstanceAccessor<&EngineObject::kernels>("kernels"),
       InstanceMethod<&EngineObject::createModel>("createModel"),
       InstanceMethod<&EngineObject::createContext>("createContext"), InstanceMethod<&EngineObject::product>("product"),
       InstanceMethod<&EngineObject::productTransposed>("productTransposed"),
       InstanceMethod<&EngineObject::productInt8>("productInt8"),
       InstanceMethod<&EngineObject::readBandwidth>("readBandwidth"), InstanceMethod<&EngineObject::dispose>("dispose"),
       InstanceMethod<&EngineObject::dispose>(Napi::Symbol::WellKnown(env, "dispose"))});
}

Napi::Value EngineObject::createEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"options"};
  const Napi::Object options = objectOf(info[0], path);
  const std::string isa = stringField(options, path, "isa");
  const auto threads = static_cast<int>(integerField(options, path, "threads", 1, kMaxThreads));
  int count;
  const KernelChoice* const choices = kernelChoices(&count);
  for (int i = 0; i < count; i++) {
    if (isa != choices[i].table->name) continue;
    if (choices[i].unavailable) throwRangeError(env, Path{"isa", &path}, isa + ": " + choices[i].unavailable);
    return create(env, env.GetInstanceData<AddonData>()->engine,
                  std::make_shared<EngineCore>(env, *choices[i].table, threads));
  }
  throwRangeError(env, Path{"isa", &path}, "no such instruction set was compiled in: '" + isa.substr(0, 40) + "'");
}

Napi::Value EngineObject::isa(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), state_->table.name);
}

Napi::Value EngineObject::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), state_->threads);
}

Napi::Value EngineObject::offline(const Napi::CallbackInfo& info) {
  if (offline_.IsEmpty()) {
    offline_ =
        Napi::Persistent(OfflineObject::create(info.Env(), info.Env().GetInstanceData<AddonData>()->offline, state_));
  }
  return offline_.Value();
}

Napi::Value EngineObject::kernels(const Napi::CallbackInfo& info) {
  if (kernels_.IsEmpty()) {
    kernels_ =
        Napi::Persistent(KernelsObject::create(info.Env(), info.Env().GetInstanceData<AddonData>()->kernels, state_));
  }
  return kernels_.Value();
}

Napi::Value EngineObject::createModel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  requireOpen(env, *state_);
  const Path path{"shape"};
  const Napi::Object shape = objectOf(info[0], path);
  auto model = std::make_shared<ModelState>(state_);
  model->model.vocabSize = static_cast<int32_t>(integerField(shape, path, "vocabSize", 1, 1 << 24));
  model->model.hiddenSize = static_cast<int32_t>(integerField(shape, path, "hiddenSize", 1, 1 << 20));
  const Path blocksPath{"blocks", &path};
  const Napi::Value given = shape.Get("blocks");
  if (!given.IsArray()) throwTypeError(env, blocksPath, "expected an array");
  const auto blocks = given.As<Napi::Array>();
  const uint32_t count = blocks.Length();
  if (count > kMaxBlocks) throwRangeError(env, blocksPath, "has too many blocks");
  model->model.blocks.resize(count);
  model->blockShares.resize(count);
  model->blockUsers.resize(count, 0);
  for (uint32_t i = 0; i < count; i++) {
    const Path at{nullptr, &blocksPath, i};
    const Napi::Object block = objectOf(blocks.Get(i), at);
    Block& made = model->model.blocks[i];
    made.attention.kvHeads = static_cast<int32_t>(integerField(block, at, "kvHeads", 0, 1 << 16));
    made.hasAttention = made.attention.kvHeads > 0;
    made.attention.headDim =
        static_cast<int32_t>(integerField(block, at, "headDim", made.hasAttention ? 1 : 0, 1 << 14));
  }
  return ModelObject::create(env, env.GetInstanceData<AddonData>()->model, std::move(model));
}

Napi::Value EngineObject::createContext(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Path path{"options"};
  const Napi::Object options = objectOf(info[0], path);
  const std::string activations = stringField(options, path, "activations");
  if (activations != "int8" && activations != "f32") {
    throwRangeError(env, Path{"activations", &path},
                    "expected one of int8, f32, found '" + activations.substr(0, 40) + "'");
  }
  const auto type = activations == "int8" ? ActivationType::Int8 : ActivationType::F32;
  requireOpen(env, *state_);
  auto context = std::make_shared<ContextState>(state_, type);
  state_->contexts.push_back(context);
  return ContextObject::create(env, env.GetInstanceData<AddonData>()->context, std::move(context));
}

Napi::Value EngineObject::product(const Napi::CallbackInfo& info) {
  const ProductCall call = productCall(info, "x", "y", false);
  requireOpen(info.Env(), *state_);
  layerwise::product(state_->kernels, *state_->pool, call.w, call.x, call.rows, call.y);
  return info.Env().Undefined();
}

Napi::Value EngineObject::productTransposed(const Napi::CallbackInfo& info) {
  const ProductCall call = productCall(info, "dy", "dx", true);
  requireOpen(info.Env(), *state_);
  layerwise::productTransposed(state_->kernels, *state_->pool, call.w, call.x, call.rows, call.y);
  return info.Env().Undefined();
}

Napi::Value EngineObject::productInt8(const Napi::CallbackInfo& info) {
  const ProductCall call = productCall(info, "x", "y", false);
  requireOpen(info.Env(), *state_);
  if (!isInteger(call.w.kind))
    throwRangeError(info.Env(), Path{"w"}, "expected an integer kind: float kinds take f32 activations");
  layerwise::productInt8(state_->kernels, *state_->pool, call.w, call.x, call.rows, call.y);
  return info.Env().Undefined();
}

Napi::Value EngineObject::readBandwidth(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  requireOpen(env, *state_);
  const int64_t bytes = integerOf(info[0], Path{"bytes"}, 1, int64_t{1} << 36);
  auto task = std::make_unique<Task>(env);
  const auto measured = std::make_shared<double>(0);
  task->work = [core = state_.get(), bytes, measured] {
    *measured = layerwise::readBandwidth(core->kernels, *core->pool, bytes);
  };
  task->result = [measured](Napi::Env env) { return Napi::Number::New(env, *measured); };
  return submit(env, state_, std::move(task));
}

Napi::Value EngineObject::dispose(const Napi::CallbackInfo& info) {
  state_->disposed = true;
  state_->closeWhenIdle();
  return info.Env().Undefined();
}

}  // namespace layerwise
