// Memory blocks as ArrayBuffers show them: a share found by its address keeps the garbage collector and a transfer of
// the ArrayBuffer from pulling it away under a kernel.
#pragma once
#include <napi.h>

#include "../engine/argument-path.h"

namespace layerwise {

/** A file's path; throws where it is none. */
std::string filePathOf(Napi::Value value, const Path& path);
/** A multiple of 4,096. */
uint64_t pageOffsetOf(Napi::Value value, const Path& path);
/** Throws an Error "path: problem" with the system's name of the error as its code. */
[[noreturn]] void throwFileError(Napi::Env env, const std::string& path, int error, const std::string& problem);

/** mapFile and readFile(path, offset, length), alignedBytes(length); isAligned, isKept, isTorn(bytes) of the addon. */
Napi::Value mapFile(const Napi::CallbackInfo& info);
Napi::Value readFile(const Napi::CallbackInfo& info);
Napi::Value alignedBytes(const Napi::CallbackInfo& info);
Napi::Value isAligned(const Napi::CallbackInfo& info);
Napi::Value isKept(const Napi::CallbackInfo& info);
Napi::Value isTornCall(const Napi::CallbackInfo& info);

}  // namespace layerwise
