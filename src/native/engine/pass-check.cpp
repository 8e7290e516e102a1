// Checks of passes: the last before kernels see pointers.
#include "pass-check.h"

#include <stdexcept>

namespace layerwise {

namespace {

[[noreturn]] void refuse(const std::string& problem) { throw std::invalid_argument(problem); }

bool flagged(const std::vector<uint8_t>& flags, int32_t block) {
  return !flags.empty() && flags[static_cast<size_t>(block)] != 0;
}

std::string number(int64_t value) { return std::to_string(value); }

void checkRange(const Model& model, const Pass& pass) {
  const size_t blocks = model.blocks.size();
  if (pass.from < 0 || pass.to < pass.from || static_cast<size_t>(pass.to) > blocks) {
    refuse("blocks [" + number(pass.from) + ", " + number(pass.to) + ") of " + number(static_cast<int64_t>(blocks)));
  }
  if (pass.capture.wanted() && pass.to != pass.from + 1) refuse("inputs of products are captured of one block a pass");
  for (const auto* flags : {&pass.skipAttention, &pass.skipMlp}) {
    if (!flags->empty() && flags->size() != blocks) {
      const std::string expected = number(static_cast<int64_t>(blocks));
      refuse(number(static_cast<int64_t>(flags->size())) + " skip flags for " + expected + " blocks");
    }
  }
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (!model.blocks[static_cast<size_t>(i)].loaded) refuse("block " + number(i) + " is not loaded");
  }
}

void checkSpan(const Span& span) {
  if (span.count < 1) refuse("a span of " + number(span.count) + " rows");
  if (span.position < 0) refuse("a span at position " + number(span.position));
  const int64_t end = static_cast<int64_t>(span.position) + span.count;
  if (span.cache == nullptr) {
    if (span.position != 0) refuse("a span without a cache starts at position " + number(span.position));
    if (end > INT32_MAX - kChunkRows) refuse("a span of " + number(span.count) + " rows");
  } else if (end > span.cache->maxTokens) {
    refuse("the cache holds " + number(span.cache->maxTokens) + " positions, the span ends at " + number(end));
  }
}

void checkSpans(const Model& model, const Pass& pass) {
  int64_t rows = 0;
  for (const Span& span : pass.spans) {
    checkSpan(span);
    rows += span.count;
  }
  if (rows != pass.rows) refuse("the spans cover " + number(rows) + " rows of " + number(pass.rows));
  if (pass.rows > 0 && (pass.input == nullptr || pass.output == nullptr)) refuse("no rows are given");
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (!attends(model, pass, i)) continue;
    for (const Span& span : pass.spans) {
      if (span.cache == nullptr || span.cache->length(i) == span.position) continue;
      refuse("the cache holds " + number(span.cache->length(i)) + " positions in block " + number(i) +
             ", the span starts at " + number(span.position));
    }
  }
}

}  // namespace

bool attends(const Model& model, const Pass& pass, int32_t block) {
  return model.blocks[static_cast<size_t>(block)].hasAttention && !flagged(pass.skipAttention, block);
}

bool feeds(const Model& model, const Pass& pass, int32_t block) {
  return model.blocks[static_cast<size_t>(block)].hasMlp && !flagged(pass.skipMlp, block);
}

void checkPass(const Model& model, const Pass& pass) {
  checkRange(model, pass);
  checkSpans(model, pass);
  if (pass.adapter == nullptr) return;
  // Blocks may have been loaded anew, with other shapes, since the adapter was.
  const std::string problem = checkAdapterBlocks(model, *pass.adapter, pass.from, pass.to);
  if (!problem.empty()) refuse("adapter: " + problem);
}

void checkHeadRun(const Model& model, const HeadRun& run) {
  if (run.head == nullptr) refuse("no head is given");
  const std::string problem = checkHead(model, *run.head);
  if (!problem.empty()) refuse("head: " + problem);
  for (const int32_t row : run.rows) {
    if (row < 0) refuse("row " + number(row));
  }
  if (!run.rows.empty() && run.input == nullptr) refuse("no rows are given");
}

void checkPages(const Model& model, const Pass& pass, int32_t block) {
  const Attention& attention = model.blocks[static_cast<size_t>(block)].attention;
  for (const Span& span : pass.spans) {
    if (span.cache == nullptr) continue;
    const Page& page = span.cache->pageOf(block, span.position);
    if (page.shape.kvHeads == attention.kvHeads && page.shape.headDim == attention.headDim) continue;
    refuse("the cache was made for " + number(page.shape.kvHeads) + " heads of " + number(page.shape.headDim) +
           " in block " + number(block) + ", the block has " + number(attention.kvHeads) + " of " +
           number(attention.headDim));
  }
}

void requireLoaded(const Path& path, const Model& model, const Pass& pass) {
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (model.blocks[static_cast<size_t>(i)].loaded) continue;
    refuse(path, "block " + number(i) + " has no weights: call setBlock first");
  }
}

void requireRoom(const Path& path, const Span& span) {
  const int32_t end = span.position + span.count, most = span.cache->maxTokens;
  if (end > most) refuse(path, "positions up to " + number(end) + " do not fit a cache of " + number(most));
}

bool hasOwnInput(const Model& model, const Pass& pass, Role role) {
  const Block& block = model.blocks[static_cast<size_t>(pass.from)];
  const bool attention = attends(model, pass, pass.from), mlp = feeds(model, pass, pass.from);
  // One norm for both parts: what the MLP takes is the attention's input.
  const bool shared = attention && block.parallel && block.mlpNorm.kind == NormKind::None;
  return role == Role::Up ? mlp && !shared : role == Role::Down ? mlp : attention;
}

std::vector<int32_t> rowsBelow(const Path& path, const int32_t* rows, size_t count, int64_t available) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i] >= 0 && rows[i] < available) continue;
    refuse(Path{nullptr, &path, static_cast<int64_t>(i)},
           "expected a row below " + number(available) + ", found " + number(rows[i]));
  }
  return std::vector<int32_t>(rows, rows + count);
}

}  // namespace layerwise
