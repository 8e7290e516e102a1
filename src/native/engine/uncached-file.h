// Files read past the system's cache: what is read takes the reader's memory and no other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace layerwise {

/** Offsets, addresses and lengths of such reads are multiples of this. */
constexpr size_t kFilePage = 4096;

constexpr size_t roundedToPages(size_t bytes) { return (bytes + kFilePage - 1) / kFilePage * kFilePage; }

/**
 * An open file. Linux reads it directly from the disk (O_DIRECT), macOS without keeping it (F_NOCACHE); where the file
 * system refuses, what was read is given up from the cache at once. Windows reads through its cache. One reader at a
 * time.
 */
class UncachedFile {
 public:
  /** Null with the system's error number. */
  static std::shared_ptr<UncachedFile> open(const std::string& path, int* error);
  ~UncachedFile();
  UncachedFile(const UncachedFile&) = delete;

  /**
   * Reads [offset, offset + bytes) to `into`, which has room for whole pages. Gives the bytes found, fewer where the
   * file ends before; negative with the system's error number where it cannot be read.
   */
  int64_t read(uint64_t offset, size_t bytes, uint8_t* into, int* error);
  /** How long the file is now; 0 where that cannot be told. */
  uint64_t length();

 private:
  struct State;
  explicit UncachedFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace layerwise
