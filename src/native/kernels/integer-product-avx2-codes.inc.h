// Where several rows of activations take codes from: the packed levels, or a chunk's codes expanded to the stack.
// Included by integer-product-avx2-rows.inc.h.

/** Tables of the lower and of the upper 4 bits of levels plus 128. */
struct NibbleTables {
  alignas(32) int8_t part[2][4][32];

  constexpr NibbleTables() : part() {
    for (int bits = 2; bits <= kMostTableBits; bits++) {
      for (int code = 0; code < 32; code++) {
        const int level = levelTable(bits)[code] + 128;
        part[0][bits - 2][code] = static_cast<int8_t>(level & 15);
        part[1][bits - 2][code] = static_cast<int8_t>(level >> 4);
      }
    }
  }
};
static constexpr NibbleTables kNibbleTables;

/**
 * Where a chunk's codes come from. Codes of up to 6 bits are one vector a quad and half of the tile; codes of 8 bits,
 * and levels of a table plus 128, are two, of their lower and upper 4 bits: part 0 and 1.
 */
template <class F>
struct LevelCodes {
  const uint8_t* levels;

  __attribute__((always_inline)) __m256i operator()(int quad, int half, int part) const {
    if constexpr (F::kTable)
      return halfLevels<F::kBits>(levels + 32 * half, quad, kNibbleTables.part[part][F::kBits - 2]);
    const __m256i codes = halfCodes<F::kBits>(levels + 32 * half, quad);
    if constexpr (F::kLevelBits < 8) return codes;
    return _mm256_and_si256(part == 0 ? codes : _mm256_srli_epi16(codes, 4), _mm256_set1_epi8(15));
  }
};

/** Codes expanded to the stack: [quad][half], or [half][quad][part]. */
template <int kBits>
struct CodePanel {
  static constexpr int kVectors = kBits < 8 ? 16 : 32;
  __m256i vectors[kVectors];

  static constexpr int place(int quad, int half, int part) {
    return kBits < 8 ? 2 * quad + half : 16 * half + 2 * quad + part;
  }

  template <class Codes>
  __attribute__((always_inline)) void expand(Codes codes) {
    LAYERWISE_UNROLL_UP_TO(32)
    for (int i = 0; i < kVectors; i++) {
      const int quad = kBits < 8 ? i / 2 : i / 2 % 8, half = kBits < 8 ? i % 2 : i / 16;
      _mm256_store_si256(&vectors[i], codes(quad, half, i % 2));
    }
  }
};

/**
 * The same out of a panel. `again` reads them anew: the compiler would keep all of them for the next rows, and spill
 * them.
 */
template <int kBits>
struct PanelCodes {
  const __m256i* vectors;

  __attribute__((always_inline)) PanelCodes again() const {
    PanelCodes codes = *this;
    asm volatile("" : "+r"(codes.vectors) : : "memory");
    return codes;
  }

  __attribute__((always_inline)) __m256i operator()(int quad, int half, int part) const {
    return _mm256_load_si256(vectors + CodePanel<kBits>::place(quad, half, part));
  }
};
