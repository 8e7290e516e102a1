// NativeEngine: makes models and contexts, and multiplies packed matrices by itself.
#include "../engine/products.h"
#include "handle.h"
#include "task-runner.h"
#include "weight-fields.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<EngineCore>;
using Call = Napi::CallbackInfo;

/** More blocks than any model of today has. */
constexpr uint32_t kMostBlocks = 1 << 16;

struct ModelShape {
  int32_t vocabSize = 0, hiddenSize = 0;
};
constexpr Field<ModelShape> kShapeFields[] = {
    field<&ModelShape::vocabSize>("vocabSize", 1, 1 << 24),
    field<&ModelShape::hiddenSize>("hiddenSize", 1, 1 << 20),
};

Napi::Value createModel(const Call& info, const State& state) {
  const Path path{"shape"}, blocksPath{"blocks", &path};
  const Napi::Object given = objectOf(info[0], path);
  Reader reader;
  ModelShape shape;
  readTable(reader, given, path, kShapeFields, shape);
  Model model;
  model.vocabSize = shape.vocabSize;
  model.hiddenSize = shape.hiddenSize;
  std::vector<Block>& blocks = model.blocks;
  forEach(given.Get("blocks"), blocksPath, [&](Napi::Value element, const Path& at) {
    if (blocks.size() == kMostBlocks) refuse(blocksPath, "has too many blocks");
    const Napi::Object block = objectOf(element, at);
    blocks.emplace_back();
    Attention& attention = blocks.back().attention;
    attention.kvHeads = static_cast<int32_t>(integerOf(block.Get("kvHeads"), Path{"kvHeads", &at}, 0, 1 << 16));
    const bool attends = blocks.back().hasAttention = attention.kvHeads > 0;
    attention.headDim =
        static_cast<int32_t>(integerOf(block.Get("headDim"), Path{"headDim", &at}, attends ? 1 : 0, 1 << 14));
  });
  return Handle<ModelKind>::create(info.Env(), std::make_shared<ModelState>(state, std::move(model)));
}

Napi::Value createContext(const Call& info, const State& state) {
  const Path path{"options"};
  const auto activations =
      choiceOf<ActivationType>(objectOf(info[0], path).Get("activations"), Path{"activations", &path});
  requireOpen(*state);
  auto context = std::make_shared<ContextState>(state, activations);
  state->contexts.push_back(context);
  return Handle<ContextKind>::create(info.Env(), std::move(context));
}

/** A product of a packed matrix: which, and what its arrays are called. */
struct ProductForm {
  void (*compute)(const DeviceKernels&, ThreadPool&, const PackedMatrix&, const float*, int32_t, float*);
  const char *in, *out;
  bool transposed, integers;
};
constexpr ProductForm kProduct = {product, "x", "y", false, false};
constexpr ProductForm kProductTransposed = {productTransposed, "dy", "dx", true, false};
constexpr ProductForm kProductInt8 = {productInt8, "x", "y", false, true};

/** A matrix and two arrays of whole rows, multiplied on the calling thread and the pool's. */
template <const ProductForm& kForm>
void multiply(const Call& info, const State& state) {
  const Path inPath{kForm.in}, outPath{kForm.out};
  const PackedMatrix w = matrixOf(info[0], Path{"w"});
  const int64_t inCols = kForm.transposed ? w.rows : w.cols, outCols = kForm.transposed ? w.cols : w.rows;
  Reader reader;
  const auto x = reader.takeFrom<const float>(info[1], inPath, 0);
  const int32_t rows = wholeRows(inPath, static_cast<int64_t>(x.length), inCols);
  float* const y = reader.take<float>(info[2], outPath, rows * outCols);
  requireOpen(*state);
  if (kForm.integers && !isInteger(w.kind)) {
    refuse(Path{"w"}, "expected an integer kind: float kinds take f32 activations");
  }
  kForm.compute(state->kernels, *state->pool, w, x.data, rows, y);
}

Napi::Value measureBandwidth(const Call& info, const State& state) {
  const int64_t bytes = integerOf(info[0], Path{"bytes"}, 1, int64_t{1} << 36);
  return submit(state, std::make_unique<Task>(info.Env(), Reader()),
                [core = state.get(), bytes] { return readBandwidth(core->kernels, *core->pool, bytes); });
}

struct EngineOptions {
  std::string isa;
  int32_t threads = 0;
};
/** More threads than any machine of today has cores. */
constexpr int kMostThreads = 1024;
constexpr Field<EngineOptions> kEngineFields[] = {
    field<&EngineOptions::isa>("isa"),
    field<&EngineOptions::threads>("threads", 1, kMostThreads),
};

}  // namespace

Napi::Value createEngine(const Call& info) {
  const Napi::Env env = info.Env();
  const Path path{"options"};
  Reader reader;
  EngineOptions options;
  readTable(reader, objectOf(info[0], path), path, kEngineFields, options);
  const KernelTable& table = tableNamed(options.isa, Path{"isa", &path});
  const auto core = std::make_shared<EngineCore>(table, options.threads);
  core->runner = std::make_shared<TaskRunner>(env, options.threads < physicalCores());
  const Napi::Object engine = Handle<EngineKind>::create(env, core);
  const auto constant = [&](const char* name, Napi::Value value) {
    engine.DefineProperty(Napi::PropertyDescriptor::Value(name, value, napi_default));
  };
  constant("isa", Napi::String::New(env, core->table.name));
  constant("threads", Napi::Number::New(env, core->threads));
  constant("offline", Handle<OfflineKind>::create(env, core));
  return engine;
}

Napi::Function defineEngine(Napi::Env env) {
  using Engine = Handle<EngineKind>;
  return Engine::defineDisposable(
      env,
      {Engine::method<createModel>("createModel"), Engine::method<createContext>("createContext"),
       Engine::method<multiply<kProduct>>("product"), Engine::method<multiply<kProductTransposed>>("productTransposed"),
       Engine::method<multiply<kProductInt8>>("productInt8"), Engine::method<measureBandwidth>("readBandwidth")});
}

}  // namespace layerwise
