// Memory blocks as ArrayBuffers show them: a share found by its address keeps the garbage collector and a transfer of
// the ArrayBuffer from pulling it away under a kernel.
#pragma once
#include <napi.h>

namespace layerwise {

/** mapFile(path, offset, length), alignedBytes(length), isAligned, isKept and isTorn(bytes) of the addon. */
Napi::Value mapFile(const Napi::CallbackInfo& info);
Napi::Value alignedBytes(const Napi::CallbackInfo& info);
Napi::Value isAligned(const Napi::CallbackInfo& info);
Napi::Value isKept(const Napi::CallbackInfo& info);
Napi::Value isTornCall(const Napi::CallbackInfo& info);

}  // namespace layerwise
