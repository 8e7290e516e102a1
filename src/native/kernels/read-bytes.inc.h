// The loop that measures how fast memory is read. Included by device-kernels.inc.h.

/**
 * Streams that are read side by side: processors prefetch each of them, and one alone does not fill a core's bandwidth.
 */
constexpr int kReadStreams = 4;

#if defined(__GNUC__)
typedef uint64_t U64x4 __attribute__((vector_size(32)));
#else
struct U64x4 {
  uint64_t v[4];
};
static inline U64x4 operator+(U64x4 a, U64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] += b.v[i];
  return a;
}
#endif

static inline U64x4 loadWords4(const uint8_t* p) {
  U64x4 out;
  memcpy(&out, p, sizeof out);
  return out;
}

static uint64_t readBytes(const uint8_t* data, int64_t bytes) {
  const int64_t lines = bytes / 64 / kReadStreams;
  U64x4 low[kReadStreams] = {}, high[kReadStreams] = {};
  for (int64_t at = 0; at < lines * 64; at += 64) {
    LAYERWISE_UNROLL
    for (int s = 0; s < kReadStreams; s++) {
      const uint8_t* line = data + s * lines * 64 + at;
      low[s] = low[s] + loadWords4(line);
      high[s] = high[s] + loadWords4(line + 32);
    }
  }
  uint64_t total = 0;
  for (int s = 0; s < kReadStreams; s++) {
    uint64_t words[4];
    const U64x4 sum = low[s] + high[s];
    memcpy(words, &sum, sizeof words);
    total += words[0] + words[1] + words[2] + words[3];
  }
  for (int64_t at = lines * kReadStreams * 64; at < bytes; at += 8) {
    uint64_t word = 0;
    memcpy(&word, data + at, static_cast<size_t>(bytes - at < 8 ? bytes - at : 8));
    total += word;
  }
  return total;
}
