// Direct reads as each system has them.
#include "uncached-file.h"

#include <algorithm>
#include <cerrno>

#ifdef _WIN32
#include <fstream>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace layerwise {

UncachedFile::UncachedFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

#ifdef _WIN32

struct UncachedFile::State {
  std::ifstream stream;
};

std::shared_ptr<UncachedFile> UncachedFile::open(const std::string& path, int* error) {
  auto state = std::make_unique<State>();
  state->stream.open(path, std::ios::binary);
  *error = ENOENT;
  if (!state->stream) return nullptr;
  return std::shared_ptr<UncachedFile>(new UncachedFile(std::move(state)));
}

UncachedFile::~UncachedFile() = default;

int64_t UncachedFile::read(uint64_t offset, size_t bytes, uint8_t* into, int* error) {
  std::ifstream& stream = state_->stream;
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(offset));
  stream.read(reinterpret_cast<char*>(into), static_cast<std::streamsize>(bytes));
  *error = EIO;
  return stream.bad() ? -1 : static_cast<int64_t>(stream.gcount());
}

uint64_t UncachedFile::length() {
  std::ifstream& stream = state_->stream;
  stream.clear();
  stream.seekg(0, std::ios::end);
  return stream ? static_cast<uint64_t>(stream.tellg()) : 0;
}

#else

struct UncachedFile::State {
  int file = -1;
  /** Reads go to the disk itself. */
  bool direct = false;
};

namespace {

/** Bytes of one read at most: a longer one first finds all its pages, while the disk waits. */
constexpr size_t kMostRead = size_t{4} << 20;

int openDirect(const std::string& path) {
#ifdef O_DIRECT
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
#else
  return -1;
#endif
}

/** For a file that cannot be read directly: nothing ahead, and nothing kept. */
void keepNothing([[maybe_unused]] int file) {
#if defined(F_NOCACHE)
  fcntl(file, F_NOCACHE, 1);
#elif defined(POSIX_FADV_RANDOM)
  posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
#endif
}

void giveUp([[maybe_unused]] int file, [[maybe_unused]] uint64_t offset, [[maybe_unused]] size_t bytes) {
#ifdef POSIX_FADV_DONTNEED
  posix_fadvise(file, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
#endif
}

/** From now on reads of the file go through the cache: its system refused to read it directly. */
void undirect([[maybe_unused]] int file) {
#ifdef O_DIRECT
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_DIRECT);
#endif
  keepNothing(file);
}

}  // namespace

std::shared_ptr<UncachedFile> UncachedFile::open(const std::string& path, int* error) {
  auto state = std::make_unique<State>();
  state->file = openDirect(path);
  state->direct = state->file >= 0;
  if (!state->direct) {
    state->file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    *error = errno;
    if (state->file < 0) return nullptr;
    keepNothing(state->file);
  }
  std::shared_ptr<UncachedFile> file(new UncachedFile(std::move(state)));
  struct stat info;
  if (fstat(file->state_->file, &info) == 0 && !S_ISDIR(info.st_mode)) return file;
  *error = EISDIR;
  return nullptr;
}

UncachedFile::~UncachedFile() { close(state_->file); }

int64_t UncachedFile::read(uint64_t offset, size_t bytes, uint8_t* into, int* error) {
  State& state = *state_;
  size_t done = 0;
  while (done < bytes) {
    const size_t left = bytes - done;
    const size_t wanted = std::min(kMostRead, state.direct ? roundedToPages(left) : left);
    const ssize_t got = pread(state.file, into + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EINVAL && state.direct) {
      undirect(state.file);
      state.direct = false;
      continue;
    }
    if (got < 0) {
      *error = errno;
      return -1;
    }
    done += static_cast<size_t>(got);
    // A direct read that ends within a page has met the end of the file.
    if (got == 0 || (state.direct && static_cast<size_t>(got) % kFilePage != 0)) break;
  }
  if (!state.direct) giveUp(state.file, offset, done);
  return static_cast<int64_t>(std::min(done, bytes));
}

uint64_t UncachedFile::length() {
  struct stat info;
  return fstat(state_->file, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

#endif

}  // namespace layerwise
