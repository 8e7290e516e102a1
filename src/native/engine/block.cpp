// The decoder block: which stage follows which, and where threads wait for each other.
#include "block.h"

#include <iterator>

namespace layerwise {

namespace {

int32_t rowsOf(const BlockChunk& chunk) { return chunk.rowTo - chunk.rowFrom; }

/** Where the chunk's rows of `cols` numbers go; null where they are not wanted. */
float* captureOf(float* rows, const BlockChunk& chunk, int64_t cols) {
  return rows == nullptr ? nullptr : rows + chunk.rowFrom * cols;
}

/** Columns of the feed-forward part that make one chunk of levels: two tiles. */
constexpr int kTilesPerChunk = kChunkCols / kTileRows;

int32_t chunksOf(int32_t cols) { return (cols + kChunkCols - 1) / kChunkCols; }

const PackedMatrix& matrixOf(const Block& block, Role role) { return block.linears[role].matrix; }

/** What makes queries, keys and values, and what begins the feed-forward part. */
constexpr Role kHeads[] = {Role::Q, Role::K, Role::V};
constexpr Role kExpand[] = {Role::Gate, Role::Up};

int32_t headTiles(const Block& block) {
  int32_t tiles = 0;
  for (const Role role : kHeads) tiles += matrixOf(block, role).tiles;
  return tiles;
}

/** What projectHeads will begin with. */
void prefetchHeads(const Worker& worker, const Block& block) {
  int64_t tile = worker.firstItem(headTiles(block));
  for (const Role role : kHeads) {
    const PackedMatrix& matrix = matrixOf(block, role);
    if (tile < matrix.tiles) return prefetchTile(matrix, tile);
    tile -= matrix.tiles;
  }
}

/** The block's product of a role with rows as they were prepared; y [rows, ldy]. */
Product productOf(const BlockChunk& chunk, Role role, const PreparedRows& rows, float* y, int64_t ldy) {
  return {&chunk.block->linears[role], y, ldy, chunk.lowRanks[role], rows.low[role], rows.ldLow};
}

}  // namespace

BlockLowRanks lowRanksOf(const Adapter* adapter, int32_t block) {
  BlockLowRanks out;
  if (adapter == nullptr) return out;
  const auto found = adapter->find(block);
  if (found == adapter->end()) return out;
  for (const auto& [role, name] : kRoles) {
    if (found->second[role].present()) out[role] = &found->second[role];
  }
  return out;
}

BlockRunner::BlockRunner(const DeviceKernels& kernels, int threads, ActivationType activations,
                         AttentionRunner& attention)
    : kernels_(kernels), activations_(activations), attention_(attention), inputs_(kernels, threads) {}

bool BlockRunner::takesLevels(const Linear& linear) const {
  return activations_ == ActivationType::Int8 && linear.matrix.present() && isInteger(linear.matrix.kind);
}

void BlockRunner::run(Worker& worker, const BlockChunk& chunk) {
  if (chunk.block->parallel) {
    runParallel(worker, chunk);
  } else {
    runSequential(worker, chunk);
  }
  if (chunk.next != nullptr && chunk.next->hasAttention) prefetchHeads(worker, *chunk.next);
}

void BlockRunner::runSequential(Worker& worker, const BlockChunk& chunk) {
  const Block& block = *chunk.block;
  if (chunk.attends) {
    projectHeads(worker, chunk, normed(worker, chunk, block.attentionNorm, true, false));
    worker.barrier();
    attend(worker, chunk);
  }
  if (!chunk.feeds) return;
  const PackedMatrix& first = matrixOf(block, block.mlp.gated ? Role::Gate : Role::Up);
  prefetchShare(worker, first, chunksOf(first.rows), kTilesPerChunk);
  if (chunk.attends) worker.barrier();
  expand(worker, chunk, normed(worker, chunk, block.mlpNorm, false, true));
  worker.barrier();
  reduce(worker, chunk);
}

/** Both parts read x as it came: everything that does is done before the first of them writes it. */
void BlockRunner::runParallel(Worker& worker, const BlockChunk& chunk) {
  const Block& block = *chunk.block;
  const bool oneNorm = block.mlpNorm.kind == NormKind::None;
  PreparedRows rows;
  if (chunk.attends || (chunk.feeds && oneNorm)) {
    rows = normed(worker, chunk, block.attentionNorm, chunk.attends, chunk.feeds && oneNorm);
  }
  if (chunk.attends) projectHeads(worker, chunk, rows);
  if (chunk.feeds) {
    if (!oneNorm) {
      if (chunk.attends && InputRows::shared(worker, rowsOf(chunk))) worker.barrier();
      rows = normed(worker, chunk, block.mlpNorm, false, true);
    }
    expand(worker, chunk, rows);
  }
  worker.barrier();
  if (chunk.attends) attend(worker, chunk);
  if (chunk.attends && chunk.feeds) worker.barrier();
  if (chunk.feeds) reduce(worker, chunk);
}

/** The normed rows, as the products of one or both parts take them. */
PreparedRows BlockRunner::normed(Worker& worker, const BlockChunk& chunk, const Norm& norm, bool forAttention,
                                 bool forMlp) {
  const Block& block = *chunk.block;
  InputSource source;
  source.x = chunk.x;
  source.rows = rowsOf(chunk);
  source.cols = matrixOf(block, forAttention ? Role::Q : Role::Up).cols;
  source.ldx = source.cols;
  source.norm = &norm;
  source.capture = captureOf(forAttention ? chunk.capture.attention : chunk.capture.mlp, chunk, source.cols);
  const auto serve = [&](Role role) {
    source.quantize = source.quantize || takesLevels(block.linears[role]);
    source.lowRanks[role] = chunk.lowRanks[role];
  };
  if (forAttention) std::for_each(std::begin(kHeads), std::end(kHeads), serve);
  if (forMlp) std::for_each(std::begin(kExpand), std::end(kExpand), serve);
  return inputs_.prepare(worker, source);
}

/** Queries, keys and values: the tiles of the three matrices as if they were one. */
void BlockRunner::projectHeads(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows) {
  const Block& block = *chunk.block;
  const auto product = [&](Role role, float* y) {
    return productOf(chunk, role, rows, y, paddedCols(matrixOf(block, role).rows));
  };
  const Product products[] = {product(Role::Q, q_.data()), product(Role::K, k_.data()), product(Role::V, v_.data())};
  const ProductRoom room = inputs_.productRoom(worker);
  const Cut cut = cutOf(headTiles(block), 1, matrixOf(block, Role::Q).tileStride, rowsOf(chunk), worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    int32_t first = 0;
    for (const Product& each : products) {
      const int32_t count = each.linear->matrix.tiles;
      const Part part = {std::max(0, from - first), std::min(count, to - first), rowFrom, rowTo};
      if (part.tileFrom < part.tileTo) productPart(kernels_, each, rows.input, part, room);
      first += count;
    }
  });
}

/** Norms of queries and keys over all heads together, in place; attention itself norms a head by itself. */
void BlockRunner::normAllHeads(Worker& worker, const BlockChunk& chunk) {
  const Attention& a = chunk.block->attention;
  const auto overAll = [&](const Norm& norm) { return norm.kind != NormKind::None && norm.size != a.headDim; };
  const bool queries = overAll(a.qNorm), keys = overAll(a.kNorm);
  if (!queries && !keys) return;
  const auto apply = [&](const Norm& norm, float* rows, int64_t r) {
    float* const row = rows + r * paddedCols(norm.size);
    applyNorm(kernels_, norm, row, row, norm.size);
  };
  worker.forParts(rowsOf(chunk), 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      if (queries) apply(a.qNorm, q_.data(), r);
      if (keys) apply(a.kNorm, k_.data(), r);
    }
  });
  worker.barrier();
}

/** Everything of attention behind the products of queries, keys and values. */
void BlockRunner::attend(Worker& worker, const BlockChunk& chunk) {
  normAllHeads(worker, chunk);
  const Block& block = *chunk.block;
  const PackedMatrix& out = matrixOf(block, Role::O);
  AttentionChunk heads;
  heads.block = chunk.number;
  heads.rowFrom = chunk.rowFrom;
  heads.rowTo = chunk.rowTo;
  heads.q = q_.data();
  heads.k = k_.data();
  heads.v = v_.data();
  heads.qStride = paddedCols(matrixOf(block, Role::Q).rows);
  heads.kStride = heads.vStride = paddedCols(matrixOf(block, Role::K).rows);
  heads.output = attended_.data();
  heads.outputStride = heads.qStride;
  attention_.run(worker, heads);
  prefetchShare(worker, out, out.tiles, 1);
  worker.barrier();
  InputSource source;
  source.x = attended_.data();
  source.ldx = heads.outputStride;
  source.rows = rowsOf(chunk);
  source.cols = out.cols;
  source.quantize = takesLevels(block.linears[Role::O]);
  source.capture = captureOf(chunk.capture.output, chunk, source.cols);
  source.lowRanks[Role::O] = chunk.lowRanks[Role::O];
  addToResidual(worker, chunk, Role::O, block.attentionPostNorm, inputs_.prepare(worker, source));
}

/** act(gate x) * up x, or act(up x), and its levels: a thread finishes the columns that it began. */
void BlockRunner::expand(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows) {
  const Mlp& mlp = chunk.block->mlp;
  const PackedMatrix &gateMatrix = matrixOf(*chunk.block, Role::Gate), &upMatrix = matrixOf(*chunk.block, Role::Up);
  const PackedMatrix& downMatrix = matrixOf(*chunk.block, Role::Down);
  const int32_t width = upMatrix.rows;
  const int64_t ld = paddedCols(width);
  float* const active = mlp.gated ? gate_.data() : up_.data();
  const Product gate = productOf(chunk, Role::Gate, rows, gate_.data(), ld);
  const Product up = productOf(chunk, Role::Up, rows, up_.data(), ld);
  const QuantizedRows levels = {levels_.data(), scales_.data(), sums_.data(), rowsOf(chunk)};
  const bool quantize = takesLevels(chunk.block->linears[Role::Down]);
  const ProductRoom room = inputs_.productRoom(worker);
  const int64_t bytes = kTilesPerChunk * (upMatrix.tileStride + (mlp.gated ? gateMatrix.tileStride : 0));
  const Cut cut = cutOf(chunksOf(width), kTilesPerChunk, bytes, rowsOf(chunk), worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    const Part part = {from * kTilesPerChunk, std::min(upMatrix.tiles, to * kTilesPerChunk), rowFrom, rowTo};
    if (mlp.gated) {
      prefetchTile(upMatrix, part.tileFrom);
      productPart(kernels_, gate, rows.input, part, room);
    }
    productPart(kernels_, up, rows.input, part, room);
    const int32_t first = from * kChunkCols, count = std::min(width, to * kChunkCols) - first;
    for (int32_t r = rowFrom; r < rowTo; r++) {
      float* row = active + r * ld + first;
      if (mlp.gated) {
        kernels_.activateGated(mlp.activation, row, up_.data() + r * ld + first, count);
      } else {
        kernels_.activate(mlp.activation, row, count);
      }
    }
    if (!quantize) return;
    const float* x = active + rowFrom * ld + first;
    kernels_.quantizeRows(x, ld, rowTo - rowFrom, count, levelsFrom(levels, from, rowFrom));
  });
  prefetchShare(worker, downMatrix, downMatrix.tiles, 1);
}

/** x += down(activated). */
void BlockRunner::reduce(Worker& worker, const BlockChunk& chunk) {
  const Block& block = *chunk.block;
  InputSource source;
  source.x = block.mlp.gated ? gate_.data() : up_.data();
  source.ldx = paddedCols(matrixOf(block, Role::Up).rows);
  source.rows = rowsOf(chunk);
  source.cols = matrixOf(block, Role::Down).cols;
  source.capture = captureOf(chunk.capture.down, chunk, source.cols);
  if (takesLevels(block.linears[Role::Down])) {
    source.made = {levels_.data(), scales_.data(), sums_.data(), source.rows};
  }
  source.lowRanks[Role::Down] = chunk.lowRanks[Role::Down];
  addToResidual(worker, chunk, Role::Down, block.mlpPostNorm, inputs_.prepare(worker, source));
}

/** x += factor * post(W rows + …): without a norm a thread adds the columns that it computed, else whole rows. */
void BlockRunner::addToResidual(Worker& worker, const BlockChunk& chunk, Role role, const Norm& post,
                                const PreparedRows& rows) {
  const PackedMatrix& w = matrixOf(*chunk.block, role);
  const int64_t ld = paddedCols(w.rows);
  const float factor = chunk.block->residualFactor;
  const bool normed = post.kind != NormKind::None;
  const Product product = productOf(chunk, role, rows, branch_.data(), ld);
  const ProductRoom room = inputs_.productRoom(worker);
  const Cut cut = cutOf(w.tiles, 1, w.tileStride, rowsOf(chunk), worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    const Part part = {from, to, rowFrom, rowTo};
    productPart(kernels_, product, rows.input, part, room);
    if (!normed) addPart(kernels_, chunk.x, w.rows, branch_.data(), ld, w.rows, factor, part);
  });
  if (!normed) return;
  worker.barrier();
  worker.forParts(rowsOf(chunk), 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* const row = branch_.data() + r * ld;
      applyNorm(kernels_, post, row, row, w.rows);
      kernels_.addScaled(chunk.x + r * w.rows, row, factor, w.rows);
    }
  });
}

}  // namespace layerwise
