// Mapped files and aligned memory, as each system gives them.
#include "memory-block.h"

#include "mapping-guard.h"
#include "uncached-file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#ifdef _WIN32
#include <malloc.h>

#include <fstream>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace layerwise {

namespace {

constexpr size_t kLine = 64;

uint8_t* allocateAligned(size_t bytes) {
  // Whole lines, and never none: an empty block has an address of its own too.
  const size_t padded = bytes / kLine * kLine + kLine;
  const size_t align = bytes < kFilePage ? kLine : kFilePage;
#ifdef _WIN32
  void* const data = _aligned_malloc(padded, align);
#else
  void* data = nullptr;
  if (posix_memalign(&data, align, padded) != 0) data = nullptr;
#endif
  if (data) std::memset(data, 0, padded);
  return static_cast<uint8_t*>(data);
}

void freeAligned(uint8_t* data) {
#ifdef _WIN32
  _aligned_free(data);
#else
  std::free(data);
#endif
}

}  // namespace

const char* errorName(int error) {
  static const struct {
    int number;
    const char* name;
  } kNames[] = {{0, "ESHORT"},      {ENOENT, "ENOENT"}, {EACCES, "EACCES"}, {EISDIR, "EISDIR"}, {ENOTDIR, "ENOTDIR"},
                {ENOMEM, "ENOMEM"}, {EMFILE, "EMFILE"}, {ELOOP, "ELOOP"},   {ENODEV, "ENODEV"}, {EINVAL, "EINVAL"}};
  for (const auto& known : kNames) {
    if (known.number == error) return known.name;
  }
  return "EIO";
}

std::shared_ptr<MemoryBlock> MemoryBlock::allocate(size_t bytes) {
#ifndef _WIN32
  // Large blocks come as zero pages that take memory only when they are written.
  constexpr size_t kOwnMapping = size_t{1} << 20;
  if (bytes >= kOwnMapping) {
    void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return nullptr;
    return std::shared_ptr<MemoryBlock>(new MemoryBlock(static_cast<uint8_t*>(data), bytes, true));
  }
#endif
  uint8_t* const data = allocateAligned(bytes);
  if (!data) return nullptr;
  return std::shared_ptr<MemoryBlock>(new MemoryBlock(data, bytes, false));
}

std::shared_ptr<MemoryBlock> MemoryBlock::readFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                                   uint64_t* fileBytes) {
  const auto file = UncachedFile::open(path, error);
  if (!file) return nullptr;
  const auto block = allocate(roundedToPages(bytes));
  *error = ENOMEM;
  if (!block) return nullptr;
  const int64_t found = file->read(offset, bytes, block->data, error);
  if (found < 0) return nullptr;
  *error = 0;
  *fileBytes = file->length();
  return static_cast<size_t>(found) < bytes ? nullptr : block;
}

#ifdef _WIN32

// Read instead of mapped: a mapping would lock the file against replacement.
std::shared_ptr<MemoryBlock> MemoryBlock::mapFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                                  uint64_t* fileBytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    *error = ENOENT;
    return nullptr;
  }
  *fileBytes = static_cast<uint64_t>(file.tellg());
  *error = 0;
  if (*fileBytes < offset || *fileBytes - offset < bytes) return nullptr;
  const auto block = allocate(bytes);
  *error = ENOMEM;
  if (!block) return nullptr;
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(block->data), static_cast<std::streamsize>(bytes));
  *error = EIO;
  return file ? block : nullptr;
}

MemoryBlock::~MemoryBlock() { freeAligned(data); }

bool MemoryBlock::isTorn() const { return false; }

#else

std::shared_ptr<MemoryBlock> MemoryBlock::mapFile(const std::string& path, uint64_t offset, size_t bytes, int* error,
                                                  uint64_t* fileBytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    *error = errno;
    return nullptr;
  }
  std::shared_ptr<MemoryBlock> block;
  struct stat info;
  if (fstat(file, &info) != 0) {
    *error = errno;
  } else if (S_ISDIR(info.st_mode)) {
    *error = EISDIR;
  } else {
    *fileBytes = static_cast<uint64_t>(info.st_size);
    *error = 0;
    if (*fileBytes >= offset && *fileBytes - offset >= bytes) {
      void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, static_cast<off_t>(offset));
      if (data == MAP_FAILED) {
        *error = errno;
      } else {
        block.reset(new MemoryBlock(static_cast<uint8_t*>(data), bytes, true));
        block->path_ = path;
        block->device_ = static_cast<uint64_t>(info.st_dev);
        block->inode_ = static_cast<uint64_t>(info.st_ino);
        block->fileEnd_ = offset + bytes;
        guardMapping(block->data, bytes);
      }
    }
  }
  close(file);
  return block;
}

bool MemoryBlock::isTorn() const {
  if (path_.empty()) return false;
  if (layerwise::isTorn(data)) return true;
  // A file that ends within a page leaves zeros behind its end, and no signal. One that was renamed over stays mapped.
  struct stat info;
  if (stat(path_.c_str(), &info) != 0) return false;
  const bool same = static_cast<uint64_t>(info.st_dev) == device_ && static_cast<uint64_t>(info.st_ino) == inode_;
  return same && static_cast<uint64_t>(info.st_size) < fileEnd_;
}

MemoryBlock::~MemoryBlock() {
  if (mapped_) {
    unguardMapping(data);
    munmap(data, bytes);
  } else {
    freeAligned(data);
  }
}

#endif

}  // namespace layerwise
