// NativeOffline: offline maths as tasks of the engine's thread, which shares the work out to the pool.
#include "handle.h"
#include "offline-fields.h"
#include "task-runner.h"

namespace layerwise {

namespace {

using Core = std::shared_ptr<EngineCore>;

/** Runs compute(machine, call) as a task; what it returns becomes what the promise resolves to. */
template <class Call, class Result>
Napi::Value submitOffline(Napi::Env env, const Core& core, const Reader& reader, const Call& call,
                          Result (*compute)(const offline::Machine&, const Call&)) {
  reader.requireInPlace();
  auto task = std::make_unique<Task>(env, reader);
  return submit(core, std::move(task), [core = core.get(), call, abort = task->abort, compute] {
    return compute({core->kernels, offlineKernelsOf(core->table), *core->pool, abort.get()}, call);
  });
}

/** A call whose arguments are the fields of one object. */
template <auto kCompute>
struct ByFields;
template <class Call, class Result, Result (*kCompute)(const offline::Machine&, const Call&)>
struct ByFields<kCompute> {
  static Napi::Value call(const Napi::CallbackInfo& info, const Core& core) {
    Reader reader;
    Call call{};
    readObject(reader, info[0], Path{"options"}, call);
    return submitOffline(info.Env(), core, reader, call, kCompute);
  }
};

Napi::Value accumulateGram(const Napi::CallbackInfo& info, const Core& core) {
  Reader reader;
  offline::Gram call{};
  call.rows = integerOf(info[1], Path{"rows"}, 1, kMostRows);
  call.cols = integerOf(info[2], Path{"cols"}, 1, kMostRows);
  call.factor = static_cast<float>(numberOf(info[3], Path{"factor"}));
  call.x = reader.take<const float>(info[0], Path{"x"}, call.rows * call.cols);
  call.h = reader.take<float>(info[4], Path{"h"}, call.cols * call.cols);
  return submitOffline(info.Env(), core, reader, call, offline::accumulateGram);
}

Napi::Value inverseUpperFactor(const Napi::CallbackInfo& info, const Core& core) {
  Reader reader;
  offline::Square call{nullptr, integerOf(info[1], Path{"n"}, 1, kMostCols)};
  call.a = reader.take<double>(info[0], Path{"h"}, call.n * call.n);
  return submitOffline(info.Env(), core, reader, call, offline::inverseUpperFactor);
}

/** Weights are looked at here, off the main thread. */
double searchScales(const offline::Machine& on, const offline::ScaleSearch& call) {
  const Path path{"options"};
  offline::checkFinite(Path{"w", &path}, call.w, call.rows * call.cols);
  return static_cast<double>(offline::searchScales(on, call));
}

void packNumbers(const offline::Machine& on, const offline::PackCall& call) {
  const offline::PackProblem found = offline::pack(on, call);
  if (found.problem) throw std::invalid_argument(std::string(found.problem) + " at " + std::to_string(found.index));
}

Napi::Value pack(const Napi::CallbackInfo& info, const Core& core) {
  const Path outPath{"out"};
  Reader reader;
  offline::PackCall call{};
  readObject(reader, info[0], Path{"form"}, call.form);
  readObject(reader, info[1], Path{"numbers"}, call);
  const int64_t bytes = packedBytes(call.form, call.rows, call.cols);
  if (reinterpret_cast<uintptr_t>(elementsOf<uint8_t>(info[2], outPath, bytes).data) % 4 != 0) {
    refuse(outPath, "must begin at a multiple of 4 bytes");
  }
  call.out = reader.take<uint8_t>(info[2], outPath, bytes);
  return submitOffline(info.Env(), core, reader, call, packNumbers);
}

}  // namespace

Napi::Function defineOffline(Napi::Env env) {
  using Offline = Handle<OfflineKind>;
  return Offline::define(env, {
                                  Offline::method<accumulateGram>("accumulateGram"),
                                  Offline::method<inverseUpperFactor>("inverseUpperFactor"),
                                  Offline::method<ByFields<offline::gemm>::call>("multiply"),
                                  Offline::method<ByFields<offline::gptq>::call>("gptq"),
                                  Offline::method<ByFields<searchScales>::call>("searchScales"),
                                  Offline::method<ByFields<offline::refine>::call>("refine"),
                                  Offline::method<ByFields<offline::takeGroups>::call>("takeGroups"),
                                  Offline::method<ByFields<offline::hessianError>::call>("hessianError"),
                                  Offline::method<ByFields<offline::compareRows>::call>("compareRows"),
                                  Offline::method<pack>("pack"),
                              });
}

}  // namespace layerwise
