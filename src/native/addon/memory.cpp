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

/** How a file's bytes come into memory. */
using FileIntoMemory = std::shared_ptr<MemoryBlock> (*)(const std::string& path, uint64_t offset, size_t bytes,
                                                        int* error, uint64_t* fileBytes);

/** (path, offset, length) of a file as an ArrayBuffer of at least that length. */
Napi::Value fileInMemory(const Napi::CallbackInfo& info, FileIntoMemory bring, const char* brought) {
  const Napi::Env env = info.Env();
  const std::string path = filePathOf(info[0], Path{"path"});
  const uint64_t offset = pageOffsetOf(info[1], Path{"offset"});
  const auto length = static_cast<uint64_t>(integerOf(info[2], Path{"length"}, 1, kMaxBytes));
  int error = 0;
  uint64_t fileBytes = 0;
  const auto block = bring(path, offset, static_cast<size_t>(length), &error, &fileBytes);
  if (block) return toArrayBuffer(env, block);
  const std::string expected = "expected at least " + std::to_string(offset + length) + " bytes, found ";
  throwFileError(env, path, error,
                 error == 0 ? expected + std::to_string(fileBytes)
                            : std::string("cannot be ") + brought + ": " + std::strerror(error));
}

}  // namespace

std::string filePathOf(Napi::Value value, const Path& path) {
  std::string found = stringOf(value, path);
  if (found.find('\0') != std::string::npos) refuse(path, "contains a zero byte");
  return found;
}

uint64_t pageOffsetOf(Napi::Value value, const Path& path) {
  const int64_t offset = integerOf(value, path, 0, int64_t{1} << 52);
  if (offset % 4096 != 0) refuse(path, "expected a multiple of 4096, found " + std::to_string(offset));
  return static_cast<uint64_t>(offset);
}

void throwFileError(Napi::Env env, const std::string& path, int error, const std::string& problem) {
  Napi::Error thrown = Napi::Error::New(env, path + ": " + problem);
  thrown.Value().Set("code", Napi::String::New(env, errorName(error)));
  throw thrown;
}

Napi::Value mapFile(const Napi::CallbackInfo& info) { return fileInMemory(info, MemoryBlock::mapFile, "mapped"); }

Napi::Value readFile(const Napi::CallbackInfo& info) { return fileInMemory(info, MemoryBlock::readFile, "read"); }

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
