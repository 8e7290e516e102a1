// The KV cache: which pages a block holds, who may write them, and when they go. src/runtime/tfjs/kv-cache.ts is its twin.
#include "kv-cache.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

namespace layerwise {

namespace {

/** Zero bytes, 64-byte aligned. `byteCount` is a multiple of 64. */
std::shared_ptr<uint8_t> zeroBytes(int64_t byteCount) {
  constexpr std::align_val_t align{64};
  const auto size = static_cast<size_t>(std::max<int64_t>(byteCount, 64));
  auto* const data = static_cast<uint8_t*>(::operator new(size, align));
  memset(data, 0, size);
  return std::shared_ptr<uint8_t>(data, [](uint8_t* p) { ::operator delete(p, align); });
}

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

Page::Page(KvType type, int32_t kvHeads, int32_t headDim)
    : type(type), kvHeads(kvHeads), headDim(headDim), bytes(zeroBytes(shape().bytes())) {}

KvPage Page::head(int32_t kvHead) const { return headOfPage(shape(), bytes.get(), kvHead); }

void Page::write(const KernelTable& kernels, int32_t slot, const float* key, const float* value) {
  for (int32_t h = 0; h < kvHeads; h++) {
    const int64_t first = static_cast<int64_t>(h) * headDim;
    writeHead(kernels, shape(), bytes.get(), h, slot, key + first, value + first);
  }
}

std::shared_ptr<Page> Page::copy() const {
  auto made = std::make_shared<Page>(type, kvHeads, headDim);
  memcpy(made->bytes.get(), bytes.get(), static_cast<size_t>(byteLength()));
  return made;
}

int64_t Page::byteLength() const { return shape().bytes(); }

KvCache::KvCache(const Model& model, int32_t maxTokens, KvType type)
    : maxTokens(maxTokens), type(type), blocks_(model.blocks.size()) {
  for (const Block& block : model.blocks) {
    kvHeads_.push_back(block.hasAttention ? block.attention.kvHeads : 0);
    headDims_.push_back(block.hasAttention ? block.attention.headDim : 0);
  }
}

KvCache::KvCache(const KvCache& other)
    : reservedTokens(other.reservedTokens),
      maxTokens(other.maxTokens),
      type(other.type),
      blocks_(other.blocks_),
      kvHeads_(other.kvHeads_),
      headDims_(other.headDims_) {}

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
    throw std::invalid_argument("the cache holds " + std::to_string(maxTokens) + " positions, " + std::to_string(count) +
                                " more than " + std::to_string(held.length) + " are asked for");
  }
  const auto first = static_cast<size_t>(held.length / kPagePositions - held.firstPage);
  const auto end = static_cast<size_t>(pagesFor(held.length + count) - held.firstPage);
  for (size_t i = first; i < end && i < held.pages.size(); i++) {
    if (!ownedAlone(held.pages[i])) held.pages[i] = held.pages[i]->copy();
  }
  while (held.pages.size() < end) {
    held.pages.push_back(std::make_shared<Page>(type, kvHeads_[static_cast<size_t>(block)], headDims_[static_cast<size_t>(block)]));
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
