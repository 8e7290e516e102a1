// Mapped files that are cut short: what is gone reads as zeros and is marked, where the system would end the process.
#pragma once
#include <cstddef>
#include <cstdint>

namespace layerwise {

/**
 * From now on a page of [data, data + bytes) that its file has no more (SIGBUS) becomes zeros, and the mapping torn:
 * whoever computed with it must ask. Handlers that are there are called for other addresses. Beyond 1,024 mappings at a
 * time, and where the system has no such signal (Windows), nothing is guarded.
 */
void guardMapping(const uint8_t* data, size_t bytes);
/** Before the mapping that begins at `data` is given up. */
void unguardMapping(const uint8_t* data);
/** Whether the guarded mapping that begins at `data` lost pages since it was guarded. */
bool isTorn(const uint8_t* data);

}  // namespace layerwise
