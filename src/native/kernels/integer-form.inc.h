// What of a codec the loops of a product are compiled for, and its scales. Included by device-kernels.inc.h before the
// products.

template <int kStoredBits, bool kMinima, bool kLevelTable, bool kTwoLevelScales>
struct Form {
  /** Bits of a stored code, and of what is multiplied: a table's level plus 128 is a code of 8 bits. */
  static constexpr int kBits = kStoredBits;
  static constexpr int kLevelBits = kLevelTable ? 8 : kStoredBits;
  static constexpr bool kAsymmetric = kMinima;
  static constexpr bool kTable = kLevelTable;
  static constexpr bool kTwoLevel = kTwoLevelScales;
  /** Bytes of a group before its levels, and of its scales alone. */
  static constexpr int kHeader = groupHeaderBytes(kMinima, kTwoLevelScales);
  static constexpr int kScales = scaleBytes(kTwoLevelScales);
  /** What signed levels are codes less of; asymmetric codecs multiply the codes themselves. */
  static constexpr int kMiddle = kMinima ? 0 : 1 << (kLevelBits - 1);
};

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
