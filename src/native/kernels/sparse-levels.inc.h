// Levels of sparse matrices: a chunk's codes are put in their places, and are then read as those of 8 bits are
// (docs/artifact-format.md, section 6). Included by device-kernels.inc.h inside the table's namespace.

/** Codes of a section, and those of a chunk: 16 rows x 8 and x 32 columns. */
static constexpr int kSectionCodes = 128, kChunkCodes = 512;

/** Room for a chunk of a sparse matrix. */
struct ExpandedChunk {
  /**
   * The codes that are stored, then zeros: as many as a damaged mask could ask for, and what a whole register reads
   * beyond them.
   */
  alignas(64) uint8_t stream[kChunkCodes + 64] = {};
  /** All codes, as planes of 8 bits have them. */
  alignas(64) uint8_t codes[kChunkCodes];
};

/** The 128 codes of a section, a byte each. */
template <int kBits>
static inline void sectionCodes(const uint8_t* p, uint8_t* out) {
  if constexpr (kBits == 8) {
    memcpy(out, p, kSectionCodes);
  } else {
    constexpr int first = firstPlaneBits(kBits), second = kBits - first;
    constexpr int bytes = 16 * first, more = 16 * second;
    for (int field = 0; field < 8 / first; field++) {
      for (int i = 0; i < bytes; i++) {
        out[field * bytes + i] = static_cast<uint8_t>(p[i] >> (field * first) & ((1 << first) - 1));
      }
    }
    if constexpr (second > 0) {
      for (int field = 0; field < 8 / second; field++) {
        for (int i = 0; i < more; i++) {
          const int bits = p[bytes + i] >> (field * second) & ((1 << second) - 1);
          out[field * more + i] = static_cast<uint8_t>(out[field * more + i] | bits << first);
        }
      }
    }
  }
}

/** The chunk whose mask begins at `p`, and which has so many sections of codes, with level 0's code where none is. */
template <int kBits>
static inline void placeCodes(const uint8_t* p, int32_t sections, ExpandedChunk* out) {
  for (int32_t s = 0; s < sections; s++) {
    sectionCodes<kBits>(p + kMaskBytes + s * 16 * kBits, out->stream + s * kSectionCodes);
  }
  const uint8_t* next = out->stream;
  LAYERWISE_UNROLL
  for (int quad = 0; quad < 8; quad++) {
    uint64_t mask;
    memcpy(&mask, p + 8 * quad, sizeof mask);
    spreadBytes(next, mask, 1 << (kBits - 1), out->codes + 64 * quad);
    next += __builtin_popcountll(mask);
  }
}

/** Codes of a chunk of a sparse matrix as planes of 8 bits, in `room`. */
static inline const uint8_t* placedCodes(const PackedMatrix& w, const uint8_t* levels, ExpandedChunk* room) {
  switch (w.kind) {
    case CodecKind::Q3: placeCodes<3>(levels, w.sections, room); break;
    case CodecKind::Q4: placeCodes<4>(levels, w.sections, room); break;
    default: placeCodes<8>(levels, w.sections, room);
  }
  return room->codes;
}
