// Keys and values of one sequence in pages of 64 positions; pages are shared by forks and copied when written.
#pragma once
#include <memory>
#include <vector>

#include "kv-page.h"
#include "model.h"

namespace layerwise {

/** Positions kept behind a sliding window, so that rejected drafts can be truncated. */
constexpr int kWindowSlack = 64;

/**
 * 64 positions of all key/value heads of one block: per head keys [headDim][64], values [64][headDim], and Q8's scales.
 */
class Page {
 public:
  Page(const PageMemory& memory, const PageShape& shape);
  KvPage head(int32_t kvHead) const;
  /** Stores one position; key and value are [kvHeads * headDim] floats. */
  void write(const DeviceKernels& kernels, int32_t slot, const float* key, const float* value);
  std::shared_ptr<Page> copy(const PageMemory& memory) const;
  int64_t byteLength() const { return shape.bytes(); }

  const PageShape shape;
  const std::shared_ptr<uint8_t> bytes;  // 64-byte aligned
};

/** What one block of a sequence holds: pages[i] begins at position (firstPage + i) * 64. */
struct BlockPages {
  std::vector<std::shared_ptr<Page>> pages;
  int32_t firstPage = 0;
  int32_t length = 0;
};

class KvCache {
 public:
  KvCache(const Model& model, int32_t maxTokens, KvType type);

  int32_t length(int32_t block) const;
  /** Forgets positions >= length in blocks >= fromBlock. */
  void truncate(int32_t length, int32_t fromBlock);
  std::unique_ptr<KvCache> fork() const;
  int64_t byteLength() const;

  /** Makes room for positions [length, length + count) of a block: pages made, shared ones copied. Not thread-safe. */
  void grow(int32_t block, int32_t count);
  /** Sets the block's length after its rows were written and drops pages that lie wholly before window + slack. */
  void commit(int32_t block, int32_t length, int32_t window);
  const BlockPages& pages(int32_t block) const;
  /** False where the next position would see one whose page is gone: truncated behind what a sliding window keeps. */
  bool holdsWindow(int32_t block, int32_t window) const;
  Page& pageOf(int32_t block, int32_t position);

  /** Length that the sequence will reach: chooses the regime of longrope. The TypeScript side guards changes. */
  int64_t reservedTokens = 0;
  const int32_t maxTokens;
  const KvType type;
  /** Set while a pass uses it: a second pass at the same time is refused. */
  bool busy = false;

 private:
  /** A fork: not in use, and all pages shared. */
  KvCache(const KvCache& other);

  /** The model's. */
  PageMemory memory_;
  std::vector<BlockPages> blocks_;
  /** Of each block's pages; no heads where it has no attention. */
  std::vector<PageShape> shapes_;
};

}  // namespace layerwise
