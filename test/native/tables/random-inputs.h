// Seeded inputs of every awkward sort, and packed matrices of any form filled with them.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../../../src/native/kernels/kernel-table.h"

namespace layerwise {

/** splitmix64: the same numbers on every machine. */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>(bits() % static_cast<uint64_t>(n)); }
  /** In [-1, 1). */
  double uniform() { return static_cast<double>(static_cast<int64_t>(bits())) * 0x1p-63; }

 private:
  uint64_t state_;
};

/** What sort of numbers an input has. */
enum class Sort { Plain, Zeros, Wide, Halfway, Extreme, Special };
constexpr Sort kSorts[] = {Sort::Plain, Sort::Zeros, Sort::Wide, Sort::Halfway, Sort::Extreme, Sort::Special};

inline float numberOf(Random& random, Sort sort) {
  const double u = random.uniform();
  switch (sort) {
    case Sort::Plain: return static_cast<float>(u * 3);
    case Sort::Zeros: return random.below(2) ? 0.0f : -0.0f;
    // All magnitudes, from subnormal to near overflow.
    case Sort::Wide: return static_cast<float>(std::ldexp(u, random.below(260) - 140));
    // Whole numbers and halves: rounding ties where the largest is 127.
    case Sort::Halfway: return static_cast<float>(random.below(255) - 127) + (random.below(2) ? 0.5f : 0.0f);
    case Sort::Extreme: return random.below(2) ? 127.0f : -127.0f;
    case Sort::Special: break;
  }
  constexpr float specials[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1e-45f, 3.4e38f, -88.8f, 88.8f, 1.0f};
  return specials[random.below(10)];
}

inline std::vector<float> numbers(Random& random, size_t n, Sort sort = Sort::Plain) {
  std::vector<float> out(n);
  for (float& x : out) x = numberOf(random, sort);
  return out;
}

inline std::vector<double> doubles(Random& random, size_t n) {
  std::vector<double> out(n);
  for (double& x : out) x = random.uniform() * 2;
  return out;
}

/** An array at a multiple of 64 bytes, every byte `fill` at first, with room after it that must stay so. */
template <class Element>
class Guarded {
 public:
  Guarded(size_t count, int fill) : count_(count), fill_(fill) {
    const size_t bytes = (count * sizeof(Element) + kRoom + 63) / 64 * 64;
    bytes_ = bytes;
    memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(64, bytes)));
    memset(memory_.get(), fill, bytes);
  }
  Element* data() { return reinterpret_cast<Element*>(memory_.get()); }
  size_t count() const { return count_; }
  bool overrun() const {
    for (size_t i = count_ * sizeof(Element); i < bytes_; i++) {
      if (memory_.get()[i] != static_cast<uint8_t>(fill_)) return true;
    }
    return false;
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  static constexpr size_t kRoom = 256;
  size_t count_, bytes_;
  int fill_;
  std::unique_ptr<uint8_t, Free> memory_;
};

/** How the codes of a random matrix are chosen. */
enum class Codes { Random, Least, Most };

/** A packed matrix and its memory. */
struct RandomMatrix {
  Guarded<uint8_t> bytes;
  PackedMatrix view;
};

/** An f16 number: mostly plain, sometimes 0, subnormal, large or, where `specials`, infinite or NaN. */
inline uint16_t randomHalf(Random& random, bool specials) {
  const int pick = random.below(16);
  const uint16_t sign = random.below(2) ? 0x8000u : 0u;
  if (pick == 0) return sign;
  if (pick == 1) return static_cast<uint16_t>(sign | static_cast<uint16_t>(random.below(1024)));
  if (pick == 2 && specials) return static_cast<uint16_t>(sign | 0x7c00u | (random.below(2) ? 0x155u : 0u));
  return static_cast<uint16_t>(sign | static_cast<uint16_t>((8 + random.below(12)) << 10) |
                               static_cast<uint16_t>(random.below(1024)));
}

inline void fillFloats(Random& random, const CodecForm& form, uint8_t* data, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += bitsOf(form.kind) / 8) {
    const float x = numberOf(random, Sort::Plain);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint16_t half = form.kind == CodecKind::F16 ? randomHalf(random, false) : static_cast<uint16_t>(bits >> 16);
    if (form.kind == CodecKind::F32) {
      memcpy(data + at, &bits, sizeof bits);
    } else {
      memcpy(data + at, &half, sizeof half);
    }
  }
}

/** The rows' own scales of a tile: bf16 numbers of every size, or infinite or NaN where `specials`. */
inline void fillRowScales(Random& random, const CodecForm& form, uint8_t* tile, bool specials) {
  for (int i = 0; i < tileHeaderBytes(form.asymmetric, form.twoLevel); i += 2) {
    const float number = numberOf(random, specials && random.below(8) == 0 ? Sort::Special : Sort::Plain);
    memcpy(tile + i, reinterpret_cast<const uint8_t*>(&number) + 2, 2);
  }
}

/** Masks of so many random bits a row of 32 in each chunk of a sparse matrix; where `damaged`, as many as fall. */
inline void fillMasks(Random& random, const CodecForm& form, const PackedMatrix& w, uint8_t* data, bool damaged) {
  for (int32_t tile = 0; tile < w.tiles; tile++) {
    for (int32_t chunk = 0; chunk < w.chunks; chunk++) {
      uint64_t masks[8] = {};
      for (int row = 0; row < kTileRows; row++) {
        int left = damaged ? random.below(33) : 8 * form.sections();
        for (int c = 0; c < kChunkCols; c++) {
          if (random.below(kChunkCols - c) >= left) continue;
          left--;
          masks[c / 4] |= uint64_t{1} << (4 * row + c % 4);
        }
      }
      memcpy(data + (levelsAt(w, tile, chunk) - w.data), masks, sizeof masks);
    }
  }
}

/**
 * Codes of rows and columns beyond the matrix are random too: no kernel may look at what they are. Where `specials`, a
 * sparse matrix' masks are damaged: all kernels must read within the matrix, and read the same.
 */
inline RandomMatrix randomMatrix(Random& random, const CodecForm& form, int32_t rows, int32_t cols, Codes codes,
    bool specials) {
  const int64_t bytes = packedBytes(form, rows, cols);
  RandomMatrix out = {Guarded<uint8_t>(static_cast<size_t>(bytes), 0), {}};
  uint8_t* data = out.bytes.data();
  const char* problem = "";
  if (!makePackedMatrix(form, rows, cols, data, bytes, &out.view, &problem)) std::abort();
  if (!isInteger(form.kind)) {
    fillFloats(random, form, data, bytes);
    return out;
  }
  for (int64_t i = 0; i < bytes; i++) {
    data[i] = codes == Codes::Random ? static_cast<uint8_t>(random.bits()) : codes == Codes::Least ? 0 : 255;
  }
  if (form.sparse()) fillMasks(random, form, out.view, data, specials);
  const int32_t groups = (out.view.chunks + out.view.chunksPerGroup - 1) / out.view.chunksPerGroup;
  for (int32_t tile = 0; tile < out.view.tiles; tile++) {
    fillRowScales(random, form, data + tile * out.view.tileStride, specials);
    // Two-level scales of groups are bytes: as random as they are, -128 too.
    for (int32_t group = 0; group < groups && !form.twoLevel; group++) {
      uint8_t* header = data + (groupAt(out.view, tile, group) - data);
      for (int i = 0; i < (form.asymmetric ? 32 : 16); i++) {
        const uint16_t half = randomHalf(random, specials);
        memcpy(header + 2 * i, &half, sizeof half);
      }
    }
  }
  return out;
}

}  // namespace layerwise
