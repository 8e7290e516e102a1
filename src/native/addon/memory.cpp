// How the system maps a file is in engine/memory-block.cpp.
#include "memory.h"

#include <cstring>

#include "../engine/kept-blocks.h"
#include "arguments.h"

namespace layerwise {

namespace {

/** Largest ArrayBuffer that is asked of V8: 2^53 bytes would not fit, and the system says no much earlier. */
constexpr int64_t kMaxBytes = int64_t{1} << 40;

void forget(napi_env, void* data, void*) { forgetBlock(data); }

bool atAlignedAddress(const void* data) { return reinterpret_cast<uintptr_t>(data) % kTileAlign == 0; }

/** An ArrayBuffer over the block; the block is findable by address until the ArrayBuffer's memory is given up. */
Napi::Value toArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block) {
  keepBlock(block);
  napi_value out;
  const napi_status status = napi_create_external_arraybuffer(env, block->data, block->bytes, forget, nullptr, &out);
  if (status == napi_ok) return Napi::Value(env, out);
  forgetBlock(block->data);
  if (status == napi_no_external_buffers_allowed) {
    throw std::runtime_error(
        "this build of Node.js forbids ArrayBuffers over memory of an addon: use another build, or "
        "LAYERWISE_NATIVE=off");
  }
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) throw Napi::Error::New(env);
  throw std::runtime_error("no ArrayBuffer of " + std::to_string(block->bytes) + " bytes could be made");
}

}  // namespace

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = stringOf(info[0], Path{"path"});
  const int64_t offset = integerOf(info[1], Path{"offset"}, 0, int64_t{1} << 52);
  const int64_t length = integerOf(info[2], Path{"length"}, 1, kMaxBytes);
  if (offset % 4096 != 0) refuse(Path{"offset"}, "expected a multiple of 4096, found " + std::to_string(offset));
  if (path.find('\0') != std::string::npos) refuse(Path{"path"}, "contains a zero byte");
  int error = 0;
  uint64_t fileBytes = 0;
  const auto block =
      MemoryBlock::mapFile(path, static_cast<uint64_t>(offset), static_cast<size_t>(length), &error, &fileBytes);
  if (block) return toArrayBuffer(env, block);
  const bool isShort = error == 0;
  const std::string problem =
      isShort ? "expected at least " + std::to_string(offset + length) + " bytes, found " + std::to_string(fileBytes)
              : std::string("cannot be mapped: ") + std::strerror(error);
  Napi::Error thrown = Napi::Error::New(env, path + ": " + problem);
  thrown.Value().Set("code", Napi::String::New(env, isShort ? "ESHORT" : errorName(error)));
  throw thrown;
}

Napi::Value alignedBytes(const Napi::CallbackInfo& info) {
  const int64_t length = integerOf(info[0], Path{"length"}, 0, kMaxBytes);
  const auto block = MemoryBlock::allocate(static_cast<size_t>(length));
  if (!block) throw std::runtime_error("no memory for " + std::to_string(length) + " bytes");
  return toArrayBuffer(info.Env(), block);
}

Napi::Value isAligned(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), atAlignedAddress(elementsOf<uint8_t>(info[0], Path{"bytes"}).data));
}

Napi::Value isKept(const Napi::CallbackInfo& info) {
  const auto bytes = elementsOf<uint8_t>(info[0], Path{"bytes"});
  return Napi::Boolean::New(info.Env(), atAlignedAddress(bytes.data) && blockOf(bytes.data, bytes.length) != nullptr);
}

Napi::Value isTornCall(const Napi::CallbackInfo& info) {
  const auto bytes = elementsOf<uint8_t>(info[0], Path{"bytes"});
  const auto block = blockOf(bytes.data, bytes.length);
  return Napi::Boolean::New(info.Env(), block && block->isTorn());
}

}  // namespace layerwise
