// Blocks by first address.
#include "kept-blocks.h"

#include <map>
#include <mutex>

namespace layerwise {

namespace {

/** Several threads of JavaScript may have loaded the addon. */
struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, std::shared_ptr<MemoryBlock>> blocks;
};

/** Never destroyed: finalizers may run after the destructors of static objects. */
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

uintptr_t addressOf(const void* data) { return reinterpret_cast<uintptr_t>(data); }

}  // namespace

void keepBlock(const std::shared_ptr<MemoryBlock>& block) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.blocks[addressOf(block->data)] = block;
}

void forgetBlock(const void* data) {
  std::shared_ptr<MemoryBlock> last;  // freed after the lock
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.blocks.find(addressOf(data));
  if (found == all.blocks.end()) return;
  last = std::move(found->second);
  all.blocks.erase(found);
}

std::shared_ptr<MemoryBlock> blockOf(const void* data, size_t bytes) {
  const uintptr_t from = addressOf(data);
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  auto next = all.blocks.upper_bound(from);
  if (next == all.blocks.begin()) return nullptr;
  const std::shared_ptr<MemoryBlock>& block = (--next)->second;
  const size_t before = from - addressOf(block->data);
  return before <= block->bytes && bytes <= block->bytes - before ? block : nullptr;
}

}  // namespace layerwise
