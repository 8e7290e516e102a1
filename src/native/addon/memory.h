// Memory blocks as ArrayBuffers show them: a share found by its address keeps the garbage collector and a transfer of
// the ArrayBuffer from pulling it away under a kernel.
#pragma once
#include <napi.h>

#include "../engine/memory-block.h"

namespace layerwise {

/** An ArrayBuffer over the block; the block is findable by address until the ArrayBuffer's memory is given up. */
Napi::Value toArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block);

/** The block in which [data, data + bytes) lies, or null. */
std::shared_ptr<MemoryBlock> blockOf(const void* data, size_t bytes);

/** mapFile(path, offset, length), alignedBytes(length), isAligned(bytes) and isKept(bytes) of the addon. */
Napi::Value mapFileCall(const Napi::CallbackInfo& info);
Napi::Value alignedBytesCall(const Napi::CallbackInfo& info);
Napi::Value isAlignedCall(const Napi::CallbackInfo& info);
Napi::Value isKeptCall(const Napi::CallbackInfo& info);

}  // namespace layerwise
