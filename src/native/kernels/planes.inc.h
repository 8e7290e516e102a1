// Codes out of bit planes. A table's level plus 128 is a code of the symmetric 8-bit codec, and is used as one.
// Included by device-kernels.inc.h inside the table's namespace.

/** Bits of a level's first plane; the rest are in a second one (docs/artifact-format.md, section 6). */
static constexpr int firstPlaneBits(int bits) { return bits == 8 ? 8 : bits >= 4 ? 4 : 2; }

/** `bits` ones in every byte of a word. */
static constexpr uint32_t byteMask(int bits) { return ((1u << bits) - 1u) * 0x01010101u; }

/** Codes of quad `quad` of the chunk whose planes begin at `levels`: word r has columns 4 * quad … + 3 of row r. */
template <int kBits>
static inline U32x16 quadCodes(const uint8_t* levels, int quad) {
  constexpr int first = firstPlaneBits(kBits), second = kBits - first;
  U32x16 codes = loadWords(levels + 64 * (quad % first));
  if (first < 8) codes = bitAnd(shiftRight(codes, quad / first * first), byteMask(first));
  if (second > 0) {
    // The second plane's field goes from bit `at` to bit `first`: one shift there, in the direction that it takes.
    constexpr int vectors = second > 0 ? second : 1;
    const int at = quad / vectors * second;
    const U32x16 plane = loadWords(levels + 64 * (first + quad % vectors));
    const U32x16 moved = at > first ? shiftRight(plane, at - first) : shiftLeft(plane, first - at);
    codes = bitOr(codes, bitAnd(moved, byteMask(second) << (first & 7)));
  }
  return codes;
}

/** The same of a table codec where kTable: levels plus 128. */
template <int kBits, bool kTable>
static inline U32x16 levelCodes(const uint8_t* levels, int quad) {
  const U32x16 codes = quadCodes<kBits>(levels, quad);
  if constexpr (!kTable) return codes;
  const int8_t* table = levelTable(kBits);
  return bitXor(kBits <= 4 ? lookUp16(codes, table) : lookUp32(codes, table), 0x80808080u);
}
