// Memory outside JavaScript's heap that ArrayBuffers show: mapped files and aligned bytes. Whoever computes with it
// holds a share, so that neither the garbage collector nor a transfer of the ArrayBuffer can pull it away under a
// kernel.
#pragma once
#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>

namespace layerwise {

class MemoryBlock {
 public:
  /** Zeroed bytes from a multiple of 64; null where the system has none. */
  static std::shared_ptr<MemoryBlock> allocate(size_t bytes);
  /**
   * [offset, offset + bytes) of a file, private to the process. Null with the system's error number in `error` (0 where
   * the file is shorter, its length then in `fileBytes`).
   */
  static std::shared_ptr<MemoryBlock> mapFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                              uint64_t* fileBytes);
  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;

  uint8_t* const data;
  const size_t bytes;

 private:
  MemoryBlock(uint8_t* data, size_t bytes, bool mapped) : data(data), bytes(bytes), mapped_(mapped) {}
  const bool mapped_;
};

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
