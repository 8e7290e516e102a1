// What a pass must fulfil before anything of it runs.
#pragma once
#include "context.h"

namespace layerwise {

/** True where the block's attention runs in the pass: it has one, and it is not skipped. */
bool attends(const Model& model, const Pass& pass, int32_t block);
/** The same of its feed-forward part. */
bool feeds(const Model& model, const Pass& pass, int32_t block);

/**
 * Throws std::invalid_argument where rows, blocks, flags, spans, caches or the adapter do not fit the model or each
 * other.
 */
void checkPass(const Model& model, const Pass& pass);
/** The same of a head and its rows. */
void checkHeadRun(const Model& model, const HeadRun& run);

/** Throws std::invalid_argument where the pages of a cache that has grown for the pass are not of the block's shape. */
void checkPages(const Model& model, const Pass& pass, int32_t block);

}  // namespace layerwise
