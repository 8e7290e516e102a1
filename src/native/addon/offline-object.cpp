// Offline maths as tasks of the engine's thread, which shares the work out to the pool.
#include "offline-object.h"

#include <cmath>
#include <type_traits>

#include "offline-arguments.h"

namespace layerwise {

const napi_type_tag OfflineObject::kTag = {0x6c617965722d6f66ULL, 0x666c696e652d3031ULL};

namespace {

offline::Machine machineOf(const EngineCore& core, const AbortFlag& abort) {
  return {core.kernels, offlineKernelsOf(core.table), *core.pool, abort.get()};
}

/** Runs compute(machine, call) as a task; what it returns becomes what the promise resolves to. */
template <class Call, class Compute>
Napi::Value submitOffline(Napi::Env env, const std::shared_ptr<EngineCore>& core, const OfflineCall<Call>& given,
                          Compute compute) {
  using Result = std::invoke_result_t<Compute, const offline::Machine&, const Call&>;
  auto task = std::make_unique<Task>(env);
  for (const auto& [array, data] : given.arrays) {
    requireInPlace(array, data);
    task->keep(array);
  }
  const AbortFlag abort = task->abort;
  if constexpr (std::is_void_v<Result>) {
    task->work = [core = core.get(), call = given.call, abort, compute] {
      compute(machineOf(*core, abort), call);
    };
  } else {
    const auto result = std::make_shared<Result>();
    task->work = [core = core.get(), call = given.call, abort, compute, result] {
      *result = compute(machineOf(*core, abort), call);
    };
    task->result = [result](Napi::Env env) { return Napi::Value::From(env, *result); };
  }
  return submit(env, core, std::move(task));
}

/** Throws where a weight is not finite: looked at here, off the main thread. */
void requireFinite(const float* w, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    if (!std::isfinite(w[i]))
      throw std::invalid_argument("options.w[" + std::to_string(i) + "]: expected a finite number");
  }
}

}  // namespace

Napi::Function OfflineObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceMethod<&OfflineObject::accumulateGram>("accumulateGram"),
       InstanceMethod<&OfflineObject::inverseUpperFactor>("inverseUpperFactor"),
       InstanceMethod<&OfflineObject::gptq>("gptq"), InstanceMethod<&OfflineObject::searchScales>("searchScales"),
       InstanceMethod<&OfflineObject::refine>("refine"), InstanceMethod<&OfflineObject::hessianError>("hessianError"),
       InstanceMethod<&OfflineObject::compareRows>("compareRows"), InstanceMethod<&OfflineObject::pack>("pack")});
}

Napi::Value OfflineObject::accumulateGram(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, gramOf(info), [](const offline::Machine& on, const GramCall& call) {
    offline::accumulateGram(on, call.x, call.rows, call.cols, call.factor, call.h);
  });
}

Napi::Value OfflineObject::inverseUpperFactor(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, squareOf(info, "h"), [](const offline::Machine& on, const SquareCall& call) {
    return offline::inverseUpperFactor(on, call.a, call.n);
  });
}

Napi::Value OfflineObject::gptq(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, gptqOf(info),
                       [](const offline::Machine& on, const offline::Gptq& call) { offline::gptq(on, call); });
}

Napi::Value OfflineObject::searchScales(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, scaleSearchOf(info),
                       [](const offline::Machine& on, const offline::ScaleSearch& call) {
                         requireFinite(call.w, call.rows * call.cols);
                         return static_cast<double>(offline::searchScales(on, call));
                       });
}

Napi::Value OfflineObject::refine(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, refineOf(info),
                       [](const offline::Machine& on, const offline::Refine& call) { offline::refine(on, call); });
}

Napi::Value OfflineObject::hessianError(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, hessianErrorOf(info),
                       [](const offline::Machine& on, const HessianErrorCall& call) {
                         return offline::hessianError(on, call.w, call.values, call.gram, call.rows, call.cols);
                       });
}

Napi::Value OfflineObject::compareRows(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(
      info.Env(), state_, rowComparisonOf(info),
      [](const offline::Machine& on, const offline::RowComparison& call) { offline::compareRows(on, call); });
}

Napi::Value OfflineObject::pack(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  return submitOffline(info.Env(), state_, packOf(info), [](const offline::Machine& on, const offline::PackCall& call) {
    const offline::PackProblem found = offline::pack(on, call);
    if (found.problem) throw std::invalid_argument(std::string(found.problem) + " at " + std::to_string(found.index));
  });
}

}  // namespace layerwise
