// The decoder block: which stage follows which, and where threads wait for each other.
#include "block.h"

namespace layerwise {

namespace {

const LowRank* lowRankOf(const std::map<std::string, LowRank>& roles, const char* role) {
  const auto found = roles.find(role);
  return found == roles.end() ? nullptr : &found->second;
}

int32_t rowsOf(const BlockChunk& chunk) { return chunk.rowTo - chunk.rowFrom; }

/** Where the chunk's rows of `cols` numbers go; null where they are not wanted. */
float* captureOf(float* rows, const BlockChunk& chunk, int64_t cols) {
  return rows == nullptr ? nullptr : rows + chunk.rowFrom * cols;
}

/** Columns of the feed-forward part that make one chunk of levels: two tiles. */
constexpr int kTilesPerChunk = kChunkCols / kTileRows;

int32_t chunksOf(int32_t cols) { return (cols + kChunkCols - 1) / kChunkCols; }

int32_t headTiles(const Attention& a) { return a.q.matrix.tiles + a.k.matrix.tiles + a.v.matrix.tiles; }

/** What projectHeads will begin with. */
void prefetchHeads(const Worker& worker, const Attention& a) {
  int64_t tile = worker.firstItem(headTiles(a));
  for (const Linear* linear : {&a.q, &a.k, &a.v}) {
    if (tile < linear->matrix.tiles) return prefetchTile(linear->matrix, tile);
    tile -= linear->matrix.tiles;
  }
}

}  // namespace

BlockLowRanks lowRanksOf(const Adapter* adapter, int32_t block) {
  BlockLowRanks out;
  if (adapter == nullptr) return out;
  const auto found = adapter->find(block);
  if (found == adapter->end()) return out;
  const std::map<std::string, LowRank>& roles = found->second;
  out.q = lowRankOf(roles, "attn.q");
  out.k = lowRankOf(roles, "attn.k");
  out.v = lowRankOf(roles, "attn.v");
  out.o = lowRankOf(roles, "attn.o");
  out.gate = lowRankOf(roles, "mlp.gate");
  out.up = lowRankOf(roles, "mlp.up");
  out.down = lowRankOf(roles, "mlp.down");
  return out;
}

BlockRunner::BlockRunner(const KernelTable& kernels, int threads, ActivationType activations,
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
  if (chunk.next != nullptr && chunk.next->hasAttention) prefetchHeads(worker, chunk.next->attention);
}

void BlockRunner::runSequential(Worker& worker, const BlockChunk& chunk) {
  const Block& block = *chunk.block;
  if (chunk.attends) {
    projectHeads(worker, chunk, normed(worker, chunk, block.attentionNorm, true, false));
    worker.barrier();
    attend(worker, chunk);
  }
  if (!chunk.feeds) return;
  const PackedMatrix& first = block.mlp.gated ? block.mlp.gate.matrix : block.mlp.up.matrix;
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
  const Attention& attention = chunk.block->attention;
  const Mlp& mlp = chunk.block->mlp;
  InputSource source;
  source.x = chunk.x;
  source.rows = rowsOf(chunk);
  source.cols = forAttention ? attention.q.matrix.cols : mlp.up.matrix.cols;
  source.ldx = source.cols;
  source.norm = &norm;
  source.capture = captureOf(forAttention ? chunk.capture.attention : chunk.capture.mlp, chunk, source.cols);
  if (forAttention) {
    source.quantize = takesLevels(attention.q) || takesLevels(attention.k) || takesLevels(attention.v);
    source.lowRanks[0] = chunk.lowRanks.q;
    source.lowRanks[1] = chunk.lowRanks.k;
    source.lowRanks[2] = chunk.lowRanks.v;
  }
  if (forMlp) {
    source.quantize = source.quantize || takesLevels(mlp.gate) || takesLevels(mlp.up);
    source.lowRanks[3] = chunk.lowRanks.gate;
    source.lowRanks[4] = chunk.lowRanks.up;
  }
  return inputs_.prepare(worker, source);
}

/** Queries, keys and values: the tiles of the three matrices as if they were one. */
void BlockRunner::projectHeads(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows) {
  const Attention& a = chunk.block->attention;
  const auto product = [&](const Linear& linear, float* y, const LowRank* lowRank, int slot) {
    return Product{&linear, y, paddedCols(linear.matrix.rows), lowRank, rows.low[slot], rows.ldLow};
  };
  const Product products[] = {product(a.q, q_.data(), chunk.lowRanks.q, 0),
                              product(a.k, k_.data(), chunk.lowRanks.k, 1),
                              product(a.v, v_.data(), chunk.lowRanks.v, 2)};
  const ProductRoom room = inputs_.productRoom(worker);
  const Cut cut = cutOf(headTiles(a), 1, a.q.matrix.tileStride, rowsOf(chunk), worker.count);
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

/** Everything of attention behind the products of queries, keys and values. */
void BlockRunner::attend(Worker& worker, const BlockChunk& chunk) {
  const Attention& a = chunk.block->attention;
  AttentionChunk heads;
  heads.block = chunk.number;
  heads.rowFrom = chunk.rowFrom;
  heads.rowTo = chunk.rowTo;
  heads.q = q_.data();
  heads.k = k_.data();
  heads.v = v_.data();
  heads.qStride = paddedCols(a.q.matrix.rows);
  heads.kStride = heads.vStride = paddedCols(a.k.matrix.rows);
  heads.output = attended_.data();
  heads.outputStride = heads.qStride;
  attention_.run(worker, heads);
  prefetchShare(worker, a.o.matrix, a.o.matrix.tiles, 1);
  worker.barrier();
  InputSource source;
  source.x = attended_.data();
  source.ldx = heads.outputStride;
  source.rows = rowsOf(chunk);
  source.cols = a.o.matrix.cols;
  source.quantize = takesLevels(a.o);
  source.capture = captureOf(chunk.capture.output, chunk, source.cols);
  source.lowRanks[0] = chunk.lowRanks.o;
  addToResidual(worker, chunk, a.o, chunk.lowRanks.o, inputs_.prepare(worker, source));
}

/** act(gate x) * up x, or act(up x), and its levels: a thread finishes the columns that it began. */
void BlockRunner::expand(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows) {
  const Mlp& mlp = chunk.block->mlp;
  const int32_t width = mlp.up.matrix.rows;
  const int64_t ld = paddedCols(width);
  float* const active = mlp.gated ? gate_.data() : up_.data();
  const Product gate = {&mlp.gate, gate_.data(), ld, chunk.lowRanks.gate, rows.low[3], rows.ldLow};
  const Product up = {&mlp.up, up_.data(), ld, chunk.lowRanks.up, rows.low[4], rows.ldLow};
  const QuantizedRows levels = {levels_.data(), scales_.data(), sums_.data(), rowsOf(chunk)};
  const bool quantize = takesLevels(mlp.down);
  const ProductRoom room = inputs_.productRoom(worker);
  const int64_t bytes = kTilesPerChunk * (mlp.up.matrix.tileStride + (mlp.gated ? mlp.gate.matrix.tileStride : 0));
  const Cut cut = cutOf(chunksOf(width), kTilesPerChunk, bytes, rowsOf(chunk), worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    const Part part = {from * kTilesPerChunk, std::min(mlp.up.matrix.tiles, to * kTilesPerChunk), rowFrom, rowTo};
    if (mlp.gated) {
      prefetchTile(mlp.up.matrix, part.tileFrom);
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
  prefetchShare(worker, mlp.down.matrix, mlp.down.matrix.tiles, 1);
}

/** x += down(activated). */
void BlockRunner::reduce(Worker& worker, const BlockChunk& chunk) {
  const Mlp& mlp = chunk.block->mlp;
  InputSource source;
  source.x = mlp.gated ? gate_.data() : up_.data();
  source.ldx = paddedCols(mlp.up.matrix.rows);
  source.rows = rowsOf(chunk);
  source.cols = mlp.down.matrix.cols;
  source.capture = captureOf(chunk.capture.down, chunk, source.cols);
  if (takesLevels(mlp.down)) source.made = {levels_.data(), scales_.data(), sums_.data(), source.rows};
  source.lowRanks[0] = chunk.lowRanks.down;
  addToResidual(worker, chunk, mlp.down, chunk.lowRanks.down, inputs_.prepare(worker, source));
}

/** x += W rows + …: a thread adds the columns that it computed. */
void BlockRunner::addToResidual(Worker& worker, const BlockChunk& chunk, const Linear& linear, const LowRank* lowRank,
                                const PreparedRows& rows) {
  const PackedMatrix& w = linear.matrix;
  const int64_t ld = paddedCols(w.rows);
  const Product product = {&linear, branch_.data(), ld, lowRank, rows.low[0], rows.ldLow};
  const ProductRoom room = inputs_.productRoom(worker);
  const Cut cut = cutOf(w.tiles, 1, w.tileStride, rowsOf(chunk), worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    const Part part = {from, to, rowFrom, rowTo};
    productPart(kernels_, product, rows.input, part, room);
    addPart(kernels_, chunk.x, w.rows, branch_.data(), ld, w.rows, part);
  });
}

}  // namespace layerwise
