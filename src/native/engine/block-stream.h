// Weights that are read from disk when a pass comes to them, through buffers that several parts share, ahead of it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "uncached-file.h"

namespace layerwise {

/** Weights that lie together in a file: a block's, or some rows of the output head. */
struct StreamedPart {
  std::string path;
  std::shared_ptr<UncachedFile> file;
  uint64_t offset = 0;
  size_t bytes = 0;
  /** Where they are read to, with room for whole pages; parts of one buffer begin at the same address. */
  uint8_t* buffer = nullptr;
};

/** Why a part could not be read. */
struct StreamFailure {
  std::string path;
  /** The system's error number; 0: the file ends before. */
  int error = 0;
  uint64_t expectedBytes = 0, foundBytes = 0;
};

/** What was read so far. */
struct StreamCounts {
  uint64_t bytes = 0;
  /** How long passes waited for the disk. */
  double waitedMs = 0;
};

/**
 * Reads the parts on a thread of its own. While a pass computes with one, those that will follow are read into the
 * other buffers: the order of the parts at first, then whatever followed the last time. A part that was not foreseen is
 * read when it is asked for; no order is wrong, some are slower. Parts are used by one thread at a time, one by one.
 */
class BlockStream {
 public:
  /** `memory`: keeps the buffers. */
  BlockStream(std::vector<StreamedPart> parts, std::vector<std::shared_ptr<const void>> memory);
  /** Waits for a read that is under way. */
  ~BlockStream();
  BlockStream(const BlockStream&) = delete;

  int32_t count() const { return static_cast<int32_t>(parts_.size()); }
  /**
   * Waits until the part lies in its buffer, where it stays until `release`. False where `abort` was set meanwhile.
   * Throws std::runtime_error where it cannot be read, and `failure` says why; the next call tries again.
   */
  bool acquire(int32_t part, const std::atomic<bool>* abort);
  void release(int32_t part);

  /** Of the last part that could not be read; an empty path: none. */
  StreamFailure failure() const;
  StreamCounts counts() const;

 private:
  struct Buffer {
    /** The part that lies in it, or is being read; -1: none. */
    int32_t holds = -1, reads = -1;
    /** Read ahead, or about to be: not to be overwritten before it was used. */
    bool promised = false;
    bool inUse = false;
  };

  Buffer& bufferOf(int32_t part) { return buffers_[bufferOfPart_[static_cast<size_t>(part)]]; }
  void readAhead();
  bool mayRead();
  void jumpTo(int32_t part);
  void note(int32_t part);

  const std::vector<StreamedPart> parts_;
  const std::vector<std::shared_ptr<const void>> memory_;
  std::vector<size_t> bufferOfPart_;
  mutable std::mutex mutex_;
  /** For the reader: there may be something to read. For the pass: something was read. */
  std::condition_variable wake_, ready_;
  std::vector<Buffer> buffers_;
  /** Part -> the one that was used after it the last time. */
  std::vector<int32_t> follower_;
  /** Used last; read next; waited for. */
  int32_t last_ = -1, next_ = -1, wanted_ = -1;
  /** The part that could not be read, until somebody is told. */
  int32_t failed_ = -1;
  StreamFailure failure_;
  StreamCounts counts_;
  bool ending_ = false;
  std::thread reader_;
};

/** A part that a pass computes with, as long as this lives; none: part < 0. */
class PartInUse {
 public:
  PartInUse(BlockStream* stream, int32_t part, const std::atomic<bool>* abort)
      : stream_(part < 0 ? nullptr : stream), part_(part), there_(!stream_ || stream_->acquire(part, abort)) {}
  PartInUse(const PartInUse&) = delete;
  ~PartInUse() {
    if (stream_ && there_) stream_->release(part_);
  }
  /** False where waiting for it was aborted. */
  bool isThere() const { return there_; }

 private:
  BlockStream* const stream_;
  const int32_t part_;
  const bool there_;
};

}  // namespace layerwise
