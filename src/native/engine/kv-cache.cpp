// The KV cache: which pages a block holds, who may write them, and when they go. src/runtime/tfjs/kv-cache.ts is its
// twin.
#include "kv-cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

namespace layerwise {

namespace {

/** True where nobody else holds the page; what others did with it before they let go is over then. */
bool ownedAlone(const std::shared_ptr<Page>& page) {
  const bool alone = page.use_count() == 1;
  std::atomic_thread_fence(std::memory_order_acquire);
  return alone;
}

int32_t pagesFor(int32_t positions) {
  return positions / kPagePositions + (positions % kPagePositions > 0 ? 1 : 0);
}

}  // namespace

Page::Page(const PageMemory& memory, const PageShape& shape) : shape(shape), bytes(memory.take(shape.bytes())) {}

KvPage Page::head(int32_t kvHead) const { return headOfPage(shape, bytes.get(), kvHead); }

void Page::write(const DeviceKernels& kernels, int32_t slot, const float* key, const float* value) {
  for (int32_t h = 0; h < shape.kvHeads; h++) {
    const int64_t first = static_cast<int64_t>(h) * shape.headDim;
    writeHead(kernels, shape, bytes.get(), h, slot, key + first, value + first);
  }
}

std::shared_ptr<Page> Page::copy(const PageMemory& memory) const {
  auto made = std::make_shared<Page>(memory, shape);
  memcpy(made->bytes.get(), bytes.get(), static_cast<size_t>(byteLength()));
  return made;
}

KvCache::KvCache(const Model& model, int32_t maxTokens, KvType type)
    : maxTokens(maxTokens), type(type), memory_(model.pageMemory), blocks_(model.blocks.size()) {
  for (const Block& block : model.blocks) {
    shapes_.push_back(
        {type, block.hasAttention ? block.attention.kvHeads : 0, block.hasAttention ? block.attention.headDim : 0});
  }
}

KvCache::KvCache(const KvCache& other)
    : reservedTokens(other.reservedTokens),
      maxTokens(other.maxTokens),
      type(other.type),
      memory_(other.memory_),
      blocks_(other.blocks_),
      shapes_(other.shapes_) {}

int32_t KvCache::length(int32_t block) const { return pages(block).length; }

void KvCache::truncate(int32_t length, int32_t fromBlock) {
  if (length < 0 || fromBlock < 0) throw std::invalid_argument("a cache cannot be truncated to less than nothing");
  for (size_t i = static_cast<size_t>(fromBlock); i < blocks_.size(); i++) {
    BlockPages& held = blocks_[i];
    // Also where the length stays: a pass that failed may have left pages behind it.
    held.length = std::min(held.length, length);
    const auto kept = static_cast<size_t>(std::max(0, pagesFor(held.length) - held.firstPage));
    if (kept < held.pages.size()) held.pages.resize(kept);
    if (held.pages.empty()) held.firstPage = held.length / kPagePositions;
  }
}

std::unique_ptr<KvCache> KvCache::fork() const { return std::unique_ptr<KvCache>(new KvCache(*this)); }

int64_t KvCache::byteLength() const {
  int64_t sum = 0;
  for (const BlockPages& held : blocks_) {
    for (const auto& page : held.pages) sum += page->byteLength();
  }
  return sum;
}

void KvCache::grow(int32_t block, int32_t count) {
  BlockPages& held = blocks_.at(static_cast<size_t>(block));
  if (count <= 0) return;
  if (count > maxTokens - held.length) {
    throw std::invalid_argument("the cache holds " + std::to_string(maxTokens) + " positions, " +
                                std::to_string(count) + " more than " + std::to_string(held.length) + " are asked for");
  }
  const auto first = static_cast<size_t>(held.length / kPagePositions - held.firstPage);
  const auto end = static_cast<size_t>(pagesFor(held.length + count) - held.firstPage);
  for (size_t i = first; i < end && i < held.pages.size(); i++) {
    if (!ownedAlone(held.pages[i])) held.pages[i] = held.pages[i]->copy(memory_);
  }
  while (held.pages.size() < end) {
    held.pages.push_back(std::make_shared<Page>(memory_, shapes_[static_cast<size_t>(block)]));
  }
}

void KvCache::commit(int32_t block, int32_t length, int32_t window) {
  BlockPages& held = blocks_.at(static_cast<size_t>(block));
  held.length = length;
  if (window <= 0) return;
  const int64_t kept = std::max<int64_t>(0, length - (static_cast<int64_t>(window) + kWindowSlack));
  const int64_t drop = kept / kPagePositions - held.firstPage;
  if (drop <= 0) return;
  held.pages.erase(held.pages.begin(), held.pages.begin() + std::min(drop, static_cast<int64_t>(held.pages.size())));
  held.firstPage += static_cast<int32_t>(drop);
}

bool KvCache::holdsWindow(int32_t block, int32_t window) const {
  const BlockPages& held = pages(block);
  if (held.length == 0) return true;
  const int64_t firstSeen = window > 0 ? std::max<int64_t>(0, static_cast<int64_t>(held.length) - window + 1) : 0;
  return !held.pages.empty() && static_cast<int64_t>(held.firstPage) * kPagePositions <= firstSeen;
}

const BlockPages& KvCache::pages(int32_t block) const { return blocks_.at(static_cast<size_t>(block)); }

Page& KvCache::pageOf(int32_t block, int32_t position) {
  BlockPages& held = blocks_.at(static_cast<size_t>(block));
  const int64_t index = position / kPagePositions - static_cast<int64_t>(held.firstPage);
  if (position < 0 || index < 0) throw std::out_of_range("a position whose page is gone");
  return *held.pages.at(static_cast<size_t>(index));
}

}  // namespace layerwise
