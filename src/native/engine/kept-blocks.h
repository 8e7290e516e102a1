// Memory blocks found by the addresses of what lies in them.
#pragma once
#include "memory-block.h"

namespace layerwise {

/** Makes the block findable until forgetBlock. Any thread may call these. */
void keepBlock(const std::shared_ptr<MemoryBlock>& block);
/** Of the block that begins at `data`: the share that keepBlock took is given back. */
void forgetBlock(const void* data);
/** The block in which [data, data + bytes) lies, or null. */
std::shared_ptr<MemoryBlock> blockOf(const void* data, size_t bytes);

}  // namespace layerwise
