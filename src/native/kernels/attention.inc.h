// Attention over pages of keys and values: device-kernels.h says what attend and mergeStates compute, this file what is
// open there.
//
// One query and one page: [from, to) the page's positions that the query sees, K and V the stored numbers as floats
// (Q8: levels).
//   score[j] = fma over channels c in order, from 0, of q[c] * K[c][j]; Q8: that * keyScale[j]
//   m = max(max, score[from … to)); factor = exp(max - m); p[j] = exp(score[j] - m)
//   sum = fma(sum, factor, P); P as sums over a row run: lane i adds p[i], p[i + 16], p[i + 32], p[i + 48], the unseen
// ones 0
//   output = output * factor, then for j in [from, to) in order: output = fma(w[j], V[j], output);
//     w[j] = p[j], Q8: p[j] * valueScale[j]
// Numbers of unseen positions enter no sum, so anything may lie there. A query that sees nothing is not touched.
//
// The stored numbers are converted on the way into the registers, and come from memory once; Q8 with many queries, and
// heads that do not fill vectors, are widened to f32 first, a page at a time. The arithmetic is the same.
#include "attention-tile.inc.h"

/** Queries whose scores of one page are held at a time: what attendScratchFloats has room for. */
static constexpr int kAttendQueries = 64;
/** Up to so many queries turn Q8's levels into floats as they go; converting f16 costs nothing beside multiplying. */
static constexpr int kDirectQueries = 10;

static inline float firstOf(F32x16 x) {
  float lanes[16];
  store(lanes, x);
  return lanes[0];
}

template <class Stored>
struct PageNumbers {
  const typename Stored::Number* keys;
  const typename Stored::Number* values;
  /** The quarters of the next page, fetched while this one is used. */
  const char* places[kPlaces];
  /** One a position; null but for Q8. */
  const float* keyScales;
  const float* valueScales;
  int headDim;
};

/** Consecutive queries, their states, and what of the page they see: from < to. */
struct QueryBatch {
  const float* queries;
  int64_t queryStride;
  float* max;
  float* sum;
  float* output;
  int64_t outputStride;
  /** [query][64]: scores, then weights. */
  float* weights;
  int from[kAttendQueries], to[kAttendQueries];
  float factors[kAttendQueries];
};

/** What all of Q queries see, and what any of them sees. */
struct SeenRange {
  int commonFrom, commonTo, from, to;
};

static inline SeenRange seenBy(const QueryBatch& batch, int first, int count) {
  SeenRange seen = {batch.from[first], batch.to[first], batch.from[first], batch.to[first]};
  for (int q = first + 1; q < first + count; q++) {
    if (batch.from[q] > seen.commonFrom) seen.commonFrom = batch.from[q];
    if (batch.to[q] < seen.commonTo) seen.commonTo = batch.to[q];
    if (batch.from[q] < seen.from) seen.from = batch.from[q];
    if (batch.to[q] > seen.to) seen.to = batch.to[q];
  }
  if (seen.commonTo < seen.commonFrom) seen.commonTo = seen.commonFrom;
  return seen;
}

/** Bytes of so many vectors. */
template <class Stored>
static inline int64_t bytesBefore(int vectors) {
  return static_cast<int64_t>(vectors) * 16 * sizeof(typename Stored::Number);
}

/** Scores of Q queries for 16V positions from 16 * vector on. */
template <class Stored, int Q, int V>
static inline void scoreTile(const PageNumbers<Stored>& page, const QueryBatch& batch, int first, int vector) {
  F32x16 sums[Q][V];
  for (int q = 0; q < Q; q++) {
    for (int v = 0; v < V; v++) sums[q][v] = broadcast(0);
  }
  const StoredRows<Stored> keys = {page.keys + 16 * vector, kPagePositions, page.places,
                                   bytesBefore<Stored>(vector * page.headDim)};
  addProducts<Stored, Q, V>(batch.queries + first * batch.queryStride, batch.queryStride, keys, 0, page.headDim, sums);
  for (int q = 0; q < Q; q++) {
    for (int v = 0; v < V; v++) store(batch.weights + (first + q) * kPagePositions + 16 * (vector + v), sums[q][v]);
  }
}

/** One query's scores made ready, and its state's new maximum. WHOLE: it sees all of the page. */
template <bool WHOLE, class Stored>
static inline void takeMaximum(const PageNumbers<Stored>& page, QueryBatch& batch, int q) {
  float* weights = batch.weights + q * kPagePositions;
  const int from = WHOLE ? 0 : batch.from[q], to = WHOLE ? kPagePositions : batch.to[q];
  const F32x16 unseen = broadcast(-__builtin_inff());
  F32x16 largest = unseen;
  LAYERWISE_UNROLL
  for (int j = WHOLE ? 0 : from / 16 * 16; j < to; j += 16) {
    F32x16 score = load(weights + j);
    if (Stored::kScaled && page.keyScales != nullptr) score = mul(score, load(page.keyScales + j));
    if (!WHOLE) score = selectLanes(from - j, to - j, score, unseen);
    if (!WHOLE || Stored::kScaled) store(weights + j, score);
    largest = max(largest, score);
  }
  const float before = batch.max[q], pageMax = maxOf(largest);
  const float now = before > pageMax ? before : pageMax;
  // Most pages leave the maximum as it is, and exp(0) is exactly 1.
  batch.factors[q] = before == now ? 1.0f : firstOf(expOf(sub(broadcast(before), broadcast(now))));
  batch.max[q] = now;
}

/** One query's weights, and its state's new sum. */
template <bool WHOLE, class Stored>
static inline void weigh(const PageNumbers<Stored>& page, QueryBatch& batch, int q) {
  float* weights = batch.weights + q * kPagePositions;
  const int from = WHOLE ? 0 : batch.from[q], to = WHOLE ? kPagePositions : batch.to[q];
  const F32x16 shift = broadcast(batch.max[q]);
  F32x16 total = broadcast(0);
  LAYERWISE_UNROLL
  for (int j = WHOLE ? 0 : from / 16 * 16; j < to; j += 16) {
    F32x16 weight = expOf(sub(load(weights + j), shift));
    if (!WHOLE) weight = selectLanes(from - j, to - j, weight, broadcast(0));
    total = add(total, weight);
    if (Stored::kScaled && page.valueScales != nullptr) weight = mul(weight, load(page.valueScales + j));
    store(weights + j, weight);
  }
  batch.sum[q] = firstOf(fma(broadcast(batch.sum[q]), broadcast(batch.factors[q]), broadcast(sumOf(total))));
}

/** One query's part of a tile: its own positions that not all of the tile's queries see. */
template <class Stored, int V>
static inline void addAlone(const float* weights, const StoredRows<Stored>& values, int from, int to,
                            F32x16 (&sums)[V]) {
  if (from >= to) return;
  F32x16 alone[1][V];
  for (int v = 0; v < V; v++) alone[0][v] = sums[v];
  addProducts<Stored, 1, V>(weights, 0, values, from, to, alone);
  for (int v = 0; v < V; v++) sums[v] = alone[0][v];
}

/** Q outputs, 16V channels from 16 * vector on, or the last `part` < 16 (V is 1 then). */
template <class Stored, int Q, int V>
static inline void valueTile(const PageNumbers<Stored>& page, const QueryBatch& batch, int first, int vector,
                             int part) {
  const SeenRange seen = seenBy(batch, first, Q);
  const float* weights = batch.weights + first * kPagePositions;
  const StoredRows<Stored> values = {page.values + 16 * vector, page.headDim, page.places,
                                     bytesBefore<Stored>(kPagePositions / 16 * page.headDim + vector * kPagePositions)};
  float* output = batch.output + first * batch.outputStride + 16 * vector;
  F32x16 sums[Q][V];
  for (int q = 0; q < Q; q++) {
    const int i = first + q;
    const F32x16 factor = broadcast(batch.factors[i]);
    for (int v = 0; v < V; v++) sums[q][v] = mul(get(output + q * batch.outputStride + 16 * v, part), factor);
    const int to = batch.to[i] < seen.commonFrom ? batch.to[i] : seen.commonFrom;
    addAlone<Stored, V>(weights + q * kPagePositions, values, batch.from[i], to, sums[q]);
  }
  addProducts<Stored, Q, V>(weights, kPagePositions, values, seen.commonFrom, seen.commonTo, sums);
  for (int q = 0; q < Q; q++) {
    const int i = first + q;
    const int from = batch.from[i] > seen.commonTo ? batch.from[i] : seen.commonTo;
    addAlone<Stored, V>(weights + q * kPagePositions, values, from, batch.to[i], sums[q]);
    for (int v = 0; v < V; v++) put(output + q * batch.outputStride + 16 * v, sums[q][v], part);
  }
}

template <class Stored, int Q>
static void attendTile(const PageNumbers<Stored>& page, QueryBatch& batch, int first) {
  constexpr int V = tileVectors(Q);
  const SeenRange seen = seenBy(batch, first, Q);
  int vector = seen.from / 16;
  const int end = (seen.to + 15) / 16;
  for (; vector + V <= end; vector += V) scoreTile<Stored, Q, V>(page, batch, first, vector);
  for (; vector < end; vector++) scoreTile<Stored, Q, 1>(page, batch, first, vector);
  // The steps of several queries beside each other hide each other's latencies.
  const bool all = seen.commonFrom == 0 && seen.commonTo == kPagePositions;
  for (int q = first; q < first + Q; q++) all ? takeMaximum<true>(page, batch, q) : takeMaximum<false>(page, batch, q);
  for (int q = first; q < first + Q; q++) all ? weigh<true>(page, batch, q) : weigh<false>(page, batch, q);
  const int whole = page.headDim / 16;
  for (vector = 0; vector + V <= whole; vector += V) valueTile<Stored, Q, V>(page, batch, first, vector, 16);
  for (; vector < whole; vector++) valueTile<Stored, Q, 1>(page, batch, first, vector, 16);
  if (page.headDim % 16 != 0) valueTile<Stored, Q, 1>(page, batch, first, whole, page.headDim % 16);
}

/** All queries of the run that see a part of the page, which begins at `position`. */
template <class Stored>
static void attendPage(const AttendRun& run, const AttendState& state, const PageNumbers<Stored>& page,
                       int32_t position, float* weights) {
  static constexpr void (*attendTileOf[])(const PageNumbers<Stored>&, QueryBatch&, int) = {
      attendTile<Stored, tileOf(1)>, attendTile<Stored, tileOf(2)>, attendTile<Stored, tileOf(3)>,
      attendTile<Stored, tileOf(4)>, attendTile<Stored, tileOf(5)>, attendTile<Stored, tileOf(6)>};
  QueryBatch batch;
  batch.queryStride = run.queryStride;
  batch.outputStride = state.outputStride;
  batch.weights = weights;
  for (int32_t next = 0; next < run.count;) {
    batch.queries = run.queries + static_cast<int64_t>(next) * run.queryStride;
    batch.max = state.max + next;
    batch.sum = state.sum + next;
    batch.output = state.output + static_cast<int64_t>(next) * state.outputStride;
    int count = 0;
    for (; count < kAttendQueries && next < run.count; count++, next++) {
      const int32_t from = run.visibleFrom[next] - position, to = run.visibleTo[next] - position;
      batch.from[count] = from > 0 ? from : 0;
      batch.to[count] = to < kPagePositions ? to : kPagePositions;
      if (batch.from[count] >= batch.to[count]) break;
    }
    for (int first = 0; first < count;) {
      const int queries = nextTile(count - first);
      attendTileOf[queries - 1](page, batch, first);
      first += queries;
    }
    // The query that ended the batch sees nothing here.
    if (count < kAttendQueries) next++;
  }
}

/** Quarter `quarter` of a page: of its keys, then of its values. */
template <class Stored>
static inline const char* quarterOf(const KvPage& page, int headDim, int quarter) {
  const auto half = static_cast<int64_t>(sizeof(typename Stored::Number)) * kPagePositions / 2 * headDim;
  return static_cast<const char*>(quarter < 2 ? page.keys : page.values) + quarter % 2 * half;
}

/** The run's page i. */
template <class Stored>
static inline PageNumbers<Stored> numbersOf(const AttendRun& run, int i) {
  const KvPage& page = run.pages[i];
  const KvPage* const after = i + 1 < run.pageCount ? run.pages + i + 1 : run.nextPage;
  const KvPage& next = after != nullptr ? *after : page;
  PageNumbers<Stored> numbers;
  numbers.keys = static_cast<const typename Stored::Number*>(page.keys);
  numbers.values = static_cast<const typename Stored::Number*>(page.values);
  for (int p = 0; p < kPlaces; p++) numbers.places[p] = quarterOf<Stored>(next, run.headDim, p);
  numbers.keyScales = run.type == KvType::Q8 ? page.keyScales : nullptr;
  numbers.valueScales = run.type == KvType::Q8 ? page.valueScales : nullptr;
  numbers.headDim = run.headDim;
  return numbers;
}

template <class Stored>
static void attendPages(const AttendRun& run, const AttendState& state) {
  // A vector of channels may be read past the last position of a head whose size is no multiple of 16: in scratch.
  const bool direct = run.headDim % 16 == 0 && (sizeof(typename Stored::Number) > 1 || run.count <= kDirectQueries);
  const int64_t numbers = static_cast<int64_t>(kPagePositions) * run.headDim;
  float* const weights = run.scratch + 2 * numbers;
  for (int32_t i = 0; i < run.pageCount; i++) {
    const int32_t position = run.firstPosition + i * kPagePositions;
    const PageNumbers<Stored> stored = numbersOf<Stored>(run, i);
    if (direct) {
      attendPage<Stored>(run, state, stored, position, weights);
    } else {
      float* const wideValues = run.scratch + numbers;
      widen<Stored>(stored.keys, numbers, run.scratch);
      widen<Stored>(stored.values, numbers, wideValues);
      const PageNumbers<Widened> wide = {run.scratch,      wideValues,         {},
                                         stored.keyScales, stored.valueScales, run.headDim};
      attendPage<Widened>(run, state, wide, position, weights);
    }
  }
}

static void attend(const AttendRun& run, const AttendState& state) {
  switch (run.type) {
    case KvType::F32:
      return attendPages<StoredF32>(run, state);
    case KvType::F16:
      return attendPages<StoredF16>(run, state);
    case KvType::Q8:
      return attendPages<StoredQ8>(run, state);
  }
}

/**
 * m = max(max, laterMax); a = exp(max - m), b = exp(laterMax - m);
 * sum = fma(sum, a, laterSum * b); output = fma(later, b, output * a).
 * A later state that saw nothing changes nothing; an earlier one that saw nothing becomes a copy of the later. (Whoever
 * saw anything has a sum of 1 at least.)
 */
static void mergeStates(int32_t headDim, float* max, float* sum, float* output, float laterMax, float laterSum,
                        const float* later) {
  if (laterSum == 0) return;
  const bool copy = *sum == 0;
  const float now = !copy && *max > laterMax ? *max : laterMax;
  const F32x16 factor = expOf(sub(broadcast(copy ? now : *max), broadcast(now)));
  const F32x16 laterFactor = expOf(sub(broadcast(laterMax), broadcast(now)));
  for (int32_t c = 0; c < headDim; c += 16) {
    F32x16 numbers = get(later + c, headDim - c);
    if (!copy) numbers = fma(numbers, laterFactor, mul(get(output + c, headDim - c), factor));
    put(output + c, numbers, headDim - c);
  }
  *sum = copy ? laterSum : firstOf(fma(broadcast(*sum), factor, mul(broadcast(laterSum), laterFactor)));
  *max = now;
}
