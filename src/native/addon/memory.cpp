// Blocks found by address, and as ArrayBuffers. How the system maps a file is in engine/memory-block.cpp.
#include "memory.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "../kernels/packed-matrix.h"
#include "arguments.h"

namespace layerwise {

namespace {

/** Blocks by first address. Several threads of JavaScript may have loaded the addon. */
struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, std::shared_ptr<MemoryBlock>> blocks;
};

/** Never destroyed: finalizers may run after the destructors of static objects. */
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

void forget(napi_env, void* data, void*) {
  std::shared_ptr<MemoryBlock> last;  // freed after the lock
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.blocks.find(reinterpret_cast<uintptr_t>(data));
  if (found == all.blocks.end()) return;
  last = std::move(found->second);
  all.blocks.erase(found);
}

/** Largest ArrayBuffer that is asked of V8: 2^53 bytes would not fit, and the system says no much earlier. */
constexpr int64_t kMaxBytes = int64_t{1} << 40;

/** An error number's name, as node:fs gives it. */
const char* nameOf(int error) {
  static const struct {
    int number;
    const char* name;
  } kNames[] = {{ENOENT, "ENOENT"}, {EACCES, "EACCES"}, {EISDIR, "EISDIR"}, {ENOTDIR, "ENOTDIR"}, {ENOMEM, "ENOMEM"},
                {EMFILE, "EMFILE"}, {ELOOP, "ELOOP"},   {ENODEV, "ENODEV"}, {EINVAL, "EINVAL"}};
  for (const auto& known : kNames) {
    if (known.number == error) return known.name;
  }
  return "EIO";
}

bool isAligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % kTileAlign == 0; }

}  // namespace

Napi::Value toArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block) {
  Registry& all = registry();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.blocks[reinterpret_cast<uintptr_t>(block->data)] = block;
  }
  napi_value out;
  const napi_status status = napi_create_external_arraybuffer(env, block->data, block->bytes, forget, nullptr, &out);
  if (status == napi_ok) return Napi::Value(env, out);
  forget(env, block->data, nullptr);
  if (status == napi_no_external_buffers_allowed) {
    throwError(env,
               "this build of Node.js forbids ArrayBuffers over memory of an addon: use another build, or "
               "LAYERWISE_NATIVE=off");
  }
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) throw Napi::Error::New(env);
  throwError(env, "no ArrayBuffer of " + std::to_string(block->bytes) + " bytes could be made");
}

std::shared_ptr<MemoryBlock> blockOf(const void* data, size_t bytes) {
  const auto from = reinterpret_cast<uintptr_t>(data);
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  auto next = all.blocks.upper_bound(from);
  if (next == all.blocks.begin()) return nullptr;
  const std::shared_ptr<MemoryBlock>& block = (--next)->second;
  const size_t before = from - reinterpret_cast<uintptr_t>(block->data);
  return before <= block->bytes && bytes <= block->bytes - before ? block : nullptr;
}

Napi::Value mapFileCall(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = stringOf(info[0], Path{"path"});
  const int64_t offset = integerOf(info[1], Path{"offset"}, 0, int64_t{1} << 52);
  const int64_t length = integerOf(info[2], Path{"length"}, 1, kMaxBytes);
  if (offset % 4096 != 0)
    throwRangeError(env, Path{"offset"}, "expected a multiple of 4096, found " + std::to_string(offset));
  if (path.find('\0') != std::string::npos) throwRangeError(env, Path{"path"}, "contains a zero byte");
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
  thrown.Value().Set("code", Napi::String::New(env, isShort ? "ESHORT" : nameOf(error)));
  throw thrown;
}

Napi::Value alignedBytesCall(const Napi::CallbackInfo& info) {
  const int64_t length = integerOf(info[0], Path{"length"}, 0, kMaxBytes);
  const auto block = MemoryBlock::allocate(static_cast<size_t>(length));
  if (!block) throwError(info.Env(), "no memory for " + std::to_string(length) + " bytes");
  return toArrayBuffer(info.Env(), block);
}

Napi::Value isAlignedCall(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), isAligned(elementsOf<uint8_t>(info[0], Path{"bytes"}).data));
}

Napi::Value isKeptCall(const Napi::CallbackInfo& info) {
  const auto bytes = elementsOf<uint8_t>(info[0], Path{"bytes"});
  return Napi::Boolean::New(info.Env(), isAligned(bytes.data) && blockOf(bytes.data, bytes.length) != nullptr);
}

}  // namespace layerwise
