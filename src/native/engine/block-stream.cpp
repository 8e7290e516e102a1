// The reader's thread, and what it reads next.
#include "block-stream.h"

#include <chrono>
#include <map>
#include <stdexcept>

#ifndef _WIN32
#include <signal.h>
#endif

namespace layerwise {

namespace {

/** How often a pass that waits for the disk looks whether it shall stop. */
constexpr auto kLook = std::chrono::milliseconds(20);

/** Starts a thread that no signal interrupts: those are for threads that run JavaScript or compute. */
template <class Work>
std::thread quietThread(Work work) {
#ifdef _WIN32
  return std::thread(work);
#else
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(work);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
#endif
}

}  // namespace

BlockStream::BlockStream(std::vector<StreamedPart> parts, std::vector<std::shared_ptr<const void>> memory)
    : parts_(std::move(parts)), memory_(std::move(memory)) {
  std::map<const uint8_t*, size_t> known;
  for (const StreamedPart& part : parts_) {
    bufferOfPart_.push_back(known.emplace(part.buffer, known.size()).first->second);
    follower_.push_back(static_cast<int32_t>(bufferOfPart_.size() % parts_.size()));
  }
  buffers_.resize(known.size());
  reader_ = quietThread([this] { readAhead(); });
}

BlockStream::~BlockStream() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  reader_.join();
}

bool BlockStream::mayRead() {
  if (next_ < 0) return false;
  const Buffer& buffer = bufferOf(next_);
  return !buffer.inUse && !buffer.promised;
}

void BlockStream::readAhead() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || mayRead(); });
    if (ending_) return;
    const int32_t part = next_;
    Buffer& buffer = bufferOf(part);
    next_ = follower_[static_cast<size_t>(part)];
    buffer.promised = true;
    if (buffer.holds == part) continue;
    buffer.holds = -1;
    buffer.reads = part;
    lock.unlock();
    const StreamedPart& from = parts_[static_cast<size_t>(part)];
    int error = 0;
    const int64_t found = from.file->read(from.offset, from.bytes, from.buffer, &error);
    lock.lock();
    buffer.reads = -1;
    if (found == static_cast<int64_t>(from.bytes)) {
      buffer.holds = part;
      counts_.bytes += from.bytes;
    } else {
      failed_ = part;
      failure_ = {from.path, found < 0 ? error : 0, from.offset + from.bytes, from.file->length()};
      // Nothing more ahead until somebody asks for a part; who waits for another gets it.
      next_ = wanted_ == part ? -1 : wanted_;
    }
    ready_.notify_all();
  }
}

/** What was read ahead was not what is wanted: it may be overwritten, and the reader goes on with `part`. */
void BlockStream::jumpTo(int32_t part) {
  for (Buffer& buffer : buffers_) buffer.promised = false;
  failed_ = -1;
  next_ = part;
}

void BlockStream::note(int32_t part) {
  if (last_ >= 0) follower_[static_cast<size_t>(last_)] = part;
  last_ = part;
}

bool BlockStream::acquire(int32_t part, const std::atomic<bool>* abort) {
  std::unique_lock<std::mutex> lock(mutex_);
  note(part);
  Buffer& buffer = bufferOf(part);
  if (buffer.holds != part && buffer.reads != part && failed_ != part) jumpTo(part);
  wake_.notify_one();
  const auto started = std::chrono::steady_clock::now();
  wanted_ = part;
  while (buffer.holds != part) {
    if (failed_ == part) {
      failed_ = wanted_ = -1;
      throw std::runtime_error(failure_.path + ": weights could not be read");
    }
    if (abort != nullptr && abort->load()) {
      wanted_ = -1;
      return false;
    }
    ready_.wait_for(lock, kLook);
  }
  wanted_ = -1;
  counts_.waitedMs += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
  buffer.promised = false;
  buffer.inUse = true;
  return true;
}

void BlockStream::release(int32_t part) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    bufferOf(part).inUse = false;
  }
  wake_.notify_one();
}

StreamFailure BlockStream::failure() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

StreamCounts BlockStream::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

}  // namespace layerwise
