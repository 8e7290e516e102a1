// What of a codec the loops of a product are compiled for, and its scales. Included by device-kernels.inc.h before the
// products.

template <int kCodeBits, bool kMinima, bool kLevelTable, bool kTwoLevelScales, bool kMasked = false>
struct Form {
  /** Bits of a stored code. */
  static constexpr int kStoredBits = kCodeBits;
  static constexpr bool kSparse = kMasked;
  /**
   * Bits of a code in the planes that are read (a sparse matrix' codes are put into some of 8 bits first), and of what
   * is multiplied: a table's level plus 128 is a code of 8 bits.
   */
  static constexpr int kBits = kMasked ? 8 : kCodeBits;
  static constexpr int kLevelBits = kLevelTable ? 8 : kCodeBits;
  static constexpr bool kAsymmetric = kMinima;
  static constexpr bool kTable = kLevelTable;
  static constexpr bool kTwoLevel = kTwoLevelScales;
  /** Bytes of a group before its levels, and of its scales alone. */
  static constexpr int kHeader = groupHeaderBytes(kMinima, kTwoLevelScales);
  static constexpr int kScales = scaleBytes(kTwoLevelScales);
  /** What signed levels are codes less of; asymmetric codecs multiply the codes themselves. */
  static constexpr int kMiddle = kMinima ? 0 : 1 << (kLevelBits - 1);
};

/** Bytes of a chunk's levels; known when compiling but for sparse matrices. */
template <class F>
static inline int32_t chunkBytesOf(const PackedMatrix& w) {
  return F::kSparse ? w.chunkBytes : 64 * F::kStoredBits;
}

/** Room that a product needs for a chunk's codes. */
template <bool kMasked>
struct ChunkRoom : SparseRoom<kStreamedChunks> {};
template <>
struct ChunkRoom<false> {};

/** Codes of a chunk as planes: where they lie, or as `room` has got them. */
template <class F>
static inline const uint8_t* planesOf(const PackedMatrix& w, const uint8_t* levels, int32_t chunk,
                                      ChunkRoom<F::kSparse>* room) {
  if constexpr (F::kSparse) {
    return placeCodes<F::kStoredBits, kStreamedChunks>(w, levels, chunk, room);
  } else {
    return levels;
  }
}

/** Numbers of the 16 rows of a tile: of a group, or the rows' own. */
struct TileScales {
  F32x16 scale, minimum;
};

/** The rows' own scales of a tile; nothing where scales have one level. */
template <class F>
static inline TileScales rowScales(const PackedMatrix& w, int32_t tile) {
  if constexpr (!F::kTwoLevel) return {broadcast(0), broadcast(0)};
  const F32x16 scale = rowNumbers(w, tile, 0);
  return {scale, F::kAsymmetric ? rowNumbers(w, tile, 1) : scale};
}

/** The scales of the group that begins at `header`; the minima are meaningless where there are none. */
template <class F>
static inline TileScales tileScales(const uint8_t* header, const TileScales& rows) {
  const F32x16 scale = groupNumbers(F::kTwoLevel, header, 0, rows.scale);
  return {scale, F::kAsymmetric ? groupNumbers(F::kTwoLevel, header, 1, rows.minimum) : scale};
}
