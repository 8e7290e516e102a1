// Memory that weights lie in: mapped files and aligned bytes. Whoever computes with it holds a share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace layerwise {

class MemoryBlock {
 public:
  /** Zeroed bytes from a multiple of 64, of 4,096 where they are as many; null where the system has none. */
  static std::shared_ptr<MemoryBlock> allocate(size_t bytes);
  /**
   * [offset, offset + bytes) of a file, private to the process. Null with the system's error number in `error` (0 where
   * the file is shorter, its length then in `fileBytes`).
   */
  static std::shared_ptr<MemoryBlock> mapFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                              uint64_t* fileBytes);
  /**
   * The same read into memory of the process, past the system's cache; `offset` is a multiple of 4,096, and the block
   * may be longer.
   */
  static std::shared_ptr<MemoryBlock> readFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                               uint64_t* fileBytes);
  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;

  /** Whether the mapped file was cut short since: what is gone of it reads as zeros. */
  bool isTorn() const;

  uint8_t* const data;
  const size_t bytes;

 private:
  MemoryBlock(uint8_t* data, size_t bytes, bool mapped) : data(data), bytes(bytes), mapped_(mapped) {}
  /** Of mapped pages: a file's, or zeros. */
  const bool mapped_;
  /**
   * Of a mapped file, else empty: its path and what tells it from another of that path. No descriptor is kept: a
   * program may have more models open than descriptors, and one closed frees its mapping only when its memory is
   * collected.
   */
  std::string path_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  /** Where the mapping ends in the file. */
  uint64_t fileEnd_ = 0;
};

/** An error number's name, as node:fs gives it; of 0, which here says that a file is shorter than asked, ESHORT. */
const char* errorName(int error);

}  // namespace layerwise
