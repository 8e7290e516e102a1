// What the addon keeps for one environment (one thread of JavaScript).
#pragma once
#include <napi.h>

namespace layerwise {

struct AddonData {
  /** The constructor of a kind's objects (handle.h). */
  template <class Kind>
  Napi::FunctionReference& constructor() {
    return constructors[Kind::kIndex];
  }

  Napi::FunctionReference constructors[6];
  /** The getter of ArrayBuffer.prototype.resizable: called directly, an object's own property could run any code. */
  Napi::FunctionReference resizable;
};

}  // namespace layerwise
