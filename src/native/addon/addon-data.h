// What the addon keeps for one environment (one thread of JavaScript).
#pragma once
#include <napi.h>

namespace layerwise {

struct AddonData {
  explicit AddonData(Napi::Env env);

  /** The constructor of a kind's objects (handle.h). */
  template <class Kind>
  Napi::FunctionReference& constructor() {
    return constructors[Kind::kIndex];
  }

  Napi::FunctionReference constructors[5];
  /** The getter of ArrayBuffer.prototype.resizable: called directly, an object's own property could run any code.
   * Empty where this Node.js has no resizable ArrayBuffers. */
  Napi::FunctionReference resizable;
};

}  // namespace layerwise
