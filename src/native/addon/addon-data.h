// What the addon keeps for one environment (one thread of JavaScript).
#pragma once
#include <napi.h>

namespace layerwise {

struct AddonData {
  /** Constructors of the classes. */
  Napi::FunctionReference engine, model, cache, context, offline, kernels;
  /** The getter of ArrayBuffer.prototype.resizable: called directly, an object's own property could run any code. */
  Napi::FunctionReference resizable;
};

}  // namespace layerwise
