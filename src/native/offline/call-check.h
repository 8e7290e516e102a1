// Checks of the numbers that a call is given; each throws std::invalid_argument that names what is wrong.
#pragma once
#include "../engine/argument-path.h"
#include "offline.h"

namespace layerwise {
namespace offline {

/** `levels` of the call: 2^bits ascending ones of a symmetric codec of fewer than 8 bits, or null. */
void checkLevels(const Path& path, const int8_t* levels, int32_t bits, bool asymmetric);
/** `order` of the call: every column exactly once. */
void checkOrder(const Path& path, const int32_t* order, int64_t cols);
/** `size` and `taken` of the call: whole groups, each of which is there, and once; as many as there are at most. */
void checkGroups(const Path& path, const GroupRemoval& call);
/** Every number is finite. */
void checkFinite(const Path& path, const float* numbers, int64_t count);

}  // namespace offline
}  // namespace layerwise
