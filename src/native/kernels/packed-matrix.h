// A matrix as a codec stores it, used in place. docs/artifact-format.md has the layout bit by bit; src/codecs/ is its
// twin.
#pragma once
#include <cstddef>
#include <cstdint>

namespace layerwise {

/** Rows of a tile. */
constexpr int kTileRows = 16;
/** Columns of one chunk of levels; also the group in which activations are quantized. */
constexpr int kChunkCols = 32;
/** Every tile begins at a multiple of this many bytes. */
constexpr int kTileAlign = 64;

/** How the numbers of a tile are stored. The integer kinds are named by the bits of a level. */
enum class CodecKind : uint8_t { F32, F16, BF16, Q2, Q3, Q4, Q5, Q6, Q8 };

/** True where activations may be quantized: the float kinds always take them in f32. */
constexpr bool isInteger(CodecKind kind) { return kind >= CodecKind::Q2; }

/** Bits of one stored number. */
constexpr int bitsOf(CodecKind kind) {
  constexpr int bits[] = {32, 16, 16, 2, 3, 4, 5, 6, 8};
  return bits[static_cast<int>(kind)];
}

/**
 * A packed matrix [rows, cols]. Tile t (rows 16t … 16t+15) begins at data + t * tileStride. Integer kinds are one
 * stream that a product reads from front to back: where `twoLevel` the rows' own bf16 scales [16] and, where
 * `asymmetric`, bf16 minima [16]; then group after group of columns, each with its scales [16], where `asymmetric` its
 * minima [16], and then the levels of its chunks (the last group may have fewer chunks): 64 * bits bytes each or, where
 * sparse, a mask and `sections` of levels, 16 * bits bytes each (sparse-levels.inc.h). A group's scales and minima are
 * f16 or, where `twoLevel`, int8: multiples of the rows' own. Where `table`, a code stands for a number of levelBytes
 * (level-tables.h). Float kinds have [cols][16]. Bytes beyond the content of a tile are zero, and so are the levels,
 * scales and values of rows and columns beyond the matrix. Groups are aligned to 16 bytes only. Only makePackedMatrix
 * (packed-matrix.cpp) makes one: it has checked every size.
 */
struct PackedMatrix {
  const uint8_t* data = nullptr;
  int64_t tileStride = 0;
  int32_t rows = 0;
  int32_t cols = 0;
  int32_t tiles = 0;
  /** Chunks of 32 columns, the last one padded. */
  int32_t chunks = 0;
  /** Chunks that share a scale; a whole row: `chunks`. 0 for the float kinds. */
  int32_t chunksPerGroup = 0;
  /** Bytes from one group of a tile to the next, and from one chunk of a group; 0 for the float kinds. */
  int64_t groupStride = 0;
  int32_t chunkBytes = 0;
  /** Where sparse, sections of a chunk: a row stores 8 levels in each; else 0. */
  int32_t sections = 0;
  CodecKind kind = CodecKind::F32;
  bool asymmetric = false;
  bool table = false;
  bool twoLevel = false;

  bool present() const { return data != nullptr; }
};

/** Bytes of a sparse chunk's mask: a bit for each of 16 rows x 32 columns. */
constexpr int kMaskBytes = 64;
/** Levels that a section of a sparse chunk stores, 8 of each row, and their bytes. */
constexpr int kSectionCodes = 128;
constexpr int sectionBytes(int bits) { return kSectionCodes / 8 * bits; }
/** Bytes of a chunk's levels: 16 rows x 32 columns or, where sparse, their mask and so many sections. */
constexpr int chunkBytes(CodecKind kind, int sections) {
  return sections == 0 ? 64 * bitsOf(kind) : kMaskBytes + sections * sectionBytes(bitsOf(kind));
}
/** Bytes of the scales [16] of a group, or of its minima: f16, or int8 under the rows' own. */
constexpr int scaleBytes(bool twoLevel) { return twoLevel ? 16 : 32; }
/** Bytes of a group before its levels: scales [16], then minima [16] where asymmetric. */
constexpr int groupHeaderBytes(bool asymmetric, bool twoLevel) { return (asymmetric ? 2 : 1) * scaleBytes(twoLevel); }
/** Bytes of a tile before its first group: the rows' own bf16 scales [16], then minima [16] where asymmetric. */
constexpr int tileHeaderBytes(bool asymmetric, bool twoLevel) { return twoLevel ? (asymmetric ? 64 : 32) : 0; }

/** The scales [16] of a group; the minima [16] follow them where the matrix is asymmetric. Integer kinds. */
static inline const uint8_t* groupAt(const PackedMatrix& w, int32_t tile, int32_t group) {
  return w.data + tile * w.tileStride + tileHeaderBytes(w.asymmetric, w.twoLevel) + group * w.groupStride;
}

/** The levels of a chunk. Integer kinds. */
static inline const uint8_t* levelsAt(const PackedMatrix& w, int32_t tile, int32_t chunk) {
  const int32_t group = chunk / w.chunksPerGroup;
  return groupAt(w, tile, group) + groupHeaderBytes(w.asymmetric, w.twoLevel) +
         (chunk - group * w.chunksPerGroup) * w.chunkBytes;
}

/** What of a codec decides the layout; parsed from ids such as `q4s-g32` in TypeScript. */
struct CodecForm {
  CodecKind kind;
  bool asymmetric;
  /** Columns that share a scale: 32, 64, 128, or 0 for a whole row. */
  int32_t group;
  /** Whether codes stand for the numbers of a table (2 to 5 bits; not with `asymmetric`). */
  bool table = false;
  /** Whether scales are int8 under a bf16 a row. */
  bool twoLevel = false;
  /** Sparse: of every keptOf columns, 4 or 32, keptCount have a level, which make 8, 16 or 24 of 32; else 0 and 0. */
  int32_t keptCount = 0;
  int32_t keptOf = 0;

  bool sparse() const { return keptOf != 0; }
  /** Sections of a chunk; 0: not sparse. */
  int32_t sections() const { return sparse() ? keptCount * (kChunkCols / keptOf) / 8 : 0; }
};

/** Widths that sparse codecs come in. */
constexpr bool maybeSparse(int bits) { return bits == 3 || bits == 4 || bits == 8; }
/** Whether the form's sparsity is that of a codec: symmetric, groups of 32, f16 scales. */
bool sensibleSparsity(const CodecForm& form);

/**
 * Bytes of a packed matrix of that form: the twin of Codec.packedBytes. -1 where there is no such codec or shape,
 * INT64_MAX where the bytes do not fit 63 bits.
 */
int64_t packedBytes(const CodecForm& form, int32_t rows, int32_t cols);

/**
 * A view of `bytes` bytes at `data` as a matrix. Returns false and sets `problem` where the length is not exactly
 * packedBytes or the pointer is not aligned to kTileAlign.
 */
bool makePackedMatrix(const CodecForm& form, int32_t rows, int32_t cols, const uint8_t* data, int64_t bytes,
                      PackedMatrix* out, const char** problem);

}  // namespace layerwise
