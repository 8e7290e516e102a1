// What a pass must fulfil before anything of it runs.
#pragma once
#include "argument-path.h"
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

// What is looked at before a pass is queued; `path` is what the caller knows the argument as.

/** Throws std::invalid_argument where a block of the pass has no weights. */
void requireLoaded(const Path& path, const Model& model, const Pass& pass);
/** The same where the span does not fit its cache. */
void requireRoom(const Path& path, const Span& span);
/** Of a pass of one block: whether its product of this role takes rows that no other of Q, O, Up, Down takes. */
bool hasOwnInput(const Model& model, const Pass& pass, Role role);
/** A copy of row numbers; throws std::invalid_argument where one is not below `available`. */
std::vector<int32_t> rowsBelow(const Path& path, const int32_t* rows, size_t count, int64_t available);

}  // namespace layerwise
