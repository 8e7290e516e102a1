// Sizes of packed matrices: the twin of src/codecs/ (integer-geometry.ts, float.ts, tile.ts), with all sums in 64 bits.
#include "packed-matrix.h"

#include "level-tables.h"

namespace layerwise {
namespace {

/** The layout of one tile. */
struct Geometry {
  int64_t chunks;
  int64_t chunksPerGroup;
  int64_t groupStride;
  int64_t tileStride;
};

constexpr int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

Geometry geometryOf(const CodecForm& form, int32_t cols) {
  Geometry g = {(static_cast<int64_t>(cols) + kChunkCols - 1) / kChunkCols, 0, 0, 0};
  if (!isInteger(form.kind)) {
    g.tileStride = roundUp(static_cast<int64_t>(cols) * kTileRows * bitsOf(form.kind) / 8, kTileAlign);
    return g;
  }
  g.chunksPerGroup = form.group == 0 ? g.chunks : form.group / kChunkCols;
  const int64_t groups = (g.chunks + g.chunksPerGroup - 1) / g.chunksPerGroup;
  const int64_t header = groupHeaderBytes(form.asymmetric, form.twoLevel);
  const int64_t levels = chunkBytes(form.kind, form.sections());
  g.groupStride = header + g.chunksPerGroup * levels;
  // The last group holds only the chunks that are left.
  const int64_t rows = tileHeaderBytes(form.asymmetric, form.twoLevel);
  g.tileStride = roundUp(rows + groups * header + g.chunks * levels, kTileAlign);
  return g;
}

/** Whether the form is one of src/codecs and the shape has numbers in it. */
bool sensible(const CodecForm& form, int32_t rows, int32_t cols) {
  if (rows < 1 || cols < 1) return false;
  if (!sensibleSparsity(form)) return false;
  if (!isInteger(form.kind)) return !form.asymmetric && form.group == 0 && !form.table && !form.twoLevel;
  if (form.table && (form.asymmetric || bitsOf(form.kind) > kMostTableBits)) return false;
  return form.group == 0 || form.group == 32 || form.group == 64 || form.group == 128;
}

int64_t tilesOf(int32_t rows) { return (static_cast<int64_t>(rows) + kTileRows - 1) / kTileRows; }

}  // namespace

bool sensibleSparsity(const CodecForm& form) {
  if (form.keptCount == 0 && form.keptOf == 0) return true;
  if (!isInteger(form.kind) || !maybeSparse(bitsOf(form.kind))) return false;
  if (form.asymmetric || form.table || form.twoLevel || form.group != kChunkCols) return false;
  if (form.keptOf == 4) return form.keptCount == 2;
  return form.keptOf == kChunkCols && (form.keptCount == 8 || form.keptCount == 16 || form.keptCount == 24);
}

int64_t packedBytes(const CodecForm& form, int32_t rows, int32_t cols) {
  if (!sensible(form, rows, cols)) return -1;
  const int64_t stride = geometryOf(form, cols).tileStride, tiles = tilesOf(rows);
  // 2^27 tiles of 2^31 columns of f32 would be 2^64 bytes.
  return tiles > INT64_MAX / stride ? INT64_MAX : tiles * stride;
}

bool makePackedMatrix(const CodecForm& form, int32_t rows, int32_t cols, const uint8_t* data, int64_t bytes,
                      PackedMatrix* out, const char** problem) {
  if (!sensible(form, rows, cols)) {
    *problem = "no such codec, or no rows or columns";
    return false;
  }
  if (bytes != packedBytes(form, rows, cols)) {
    *problem = "its length is not that of a packed matrix of this codec and shape";
    return false;
  }
  if (data == nullptr || reinterpret_cast<uintptr_t>(data) % kTileAlign != 0) {
    *problem = "it does not begin at a multiple of 64 bytes";
    return false;
  }
  const Geometry g = geometryOf(form, cols);
  if (g.tileStride > INT32_MAX) {
    *problem = "a tile of it exceeds 2 GiB";
    return false;
  }
  out->data = data;
  out->tileStride = g.tileStride;
  out->rows = rows;
  out->cols = cols;
  out->tiles = static_cast<int32_t>(tilesOf(rows));
  out->chunks = static_cast<int32_t>(g.chunks);
  out->chunksPerGroup = static_cast<int32_t>(g.chunksPerGroup);
  out->groupStride = g.groupStride;
  out->chunkBytes = isInteger(form.kind) ? chunkBytes(form.kind, form.sections()) : 0;
  out->sections = form.sections();
  out->kind = form.kind;
  out->asymmetric = form.asymmetric;
  out->table = form.table;
  out->twoLevel = form.twoLevel;
  return true;
}

}  // namespace layerwise
