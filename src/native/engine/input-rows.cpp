// Making the input of a stage of products.
#include "input-rows.h"

#include <algorithm>
#include <cstring>

namespace layerwise {

namespace {

/** Rows of a part where they are split. */
constexpr int64_t kRowGrain = 4;

int64_t chunksOf(int32_t cols) { return (static_cast<int64_t>(cols) + kChunkCols - 1) / kChunkCols; }

/** The rows are read where they lie. */
bool asTheyAre(const InputSource& source) {
  return (source.norm == nullptr || source.norm->kind == NormKind::None) && source.indices == nullptr &&
         source.adapter == nullptr;
}

bool nothingToDo(const InputSource& source) {
  bool low = false;
  for (const LowRank* lowRank : source.lowRanks.all) low = low || lowRank != nullptr;
  return asTheyAre(source) && !source.quantize && !low;
}

/** Copies rows as the products take them, each by whichever thread is free. */
void copyRows(Worker& worker, const ProductInput& input, int32_t cols, float* out) {
  const size_t bytes = static_cast<size_t>(cols) * sizeof(float);
  worker.forParts(input.rows, kRowGrain, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) memcpy(out + r * cols, input.x + r * input.ldx, bytes);
  });
}

}  // namespace

void applyNorm(const DeviceKernels& kernels, const Norm& norm, const float* x, float* out, int32_t size) {
  switch (norm.kind) {
    case NormKind::Rms: return kernels.rmsNorm(x, size, norm.weight, norm.eps, out);
    case NormKind::Layer: return kernels.layerNorm(x, size, norm.weight, norm.bias, norm.eps, out);
    case NormKind::None: memcpy(out, x, static_cast<size_t>(size) * sizeof(float));
  }
}

InputRows::InputRows(const DeviceKernels& kernels, int threads)
    : kernels_(kernels), own_(static_cast<size_t>(threads)) {
  for (Own& own : own_) own.panel.reserve(kPanelFloats);
}

void InputRows::Rows::reserve(int32_t count, int32_t cols, int64_t ranks) {
  normed.reserve(count * paddedCols(cols));
  levels.reserve(count * chunksOf(cols) * kChunkCols);
  scales.reserve(count * chunksOf(cols));
  sums.reserve(count * chunksOf(cols));
  low.reserve(count * paddedCols(ranks));
}

int64_t InputRows::Rows::bytes() const {
  return normed.bytes() + levels.bytes() + scales.bytes() + sums.bytes() + low.bytes();
}

void InputRows::reserve(int32_t rows, int32_t cols, int64_t ranks) {
  if (rows > kOwnRows) shared_.reserve(rows, cols, ranks);
  for (Own& own : own_) {
    own.rows.reserve(kOwnRows, cols, ranks);
    if (ranks > 0) own.low.reserve(static_cast<int64_t>(kChunkRows) * kLowTiles * kTileRows);
  }
}

void InputRows::reserve(const HeadAdapter& adapter) {
  if (!adapter.present()) return;
  for (Own& own : own_) {
    own.adapted.reserve(kRowGrain * (paddedCols(adapter.down.rows) + paddedCols(adapter.up.rows)));
  }
}

ProductRoom InputRows::productRoom(const Worker& worker) const {
  const Own& own = own_[static_cast<size_t>(worker.index)];
  return {own.panel.data(), own.low.data()};
}

int64_t InputRows::scratchBytes() const {
  int64_t bytes = shared_.bytes();
  for (const Own& own : own_) {
    bytes += own.rows.bytes() + own.panel.bytes() + own.low.bytes() + own.adapted.bytes();
  }
  return bytes;
}

InputRows::Place InputRows::placeOf(const Rows& rows, const InputSource& source) {
  Place place;
  if (!asTheyAre(source)) place.x = rows.normed.data();
  place.ldx = paddedCols(source.cols);
  place.levels = source.made;
  if (source.quantize) place.levels = {rows.levels.data(), rows.scales.data(), rows.sums.data(), source.rows};
  int64_t ranks = 0;
  for (const auto& [role, name] : kRoles) {
    if (source.lowRanks[role] == nullptr) continue;
    place.low[role] = rows.low.data() + ranks;
    ranks += source.lowRanks[role]->a.rows;
  }
  place.ldLow = paddedCols(ranks);
  return place;
}

/** Rows [from, to). */
void InputRows::make(const InputSource& source, const Place& place, int32_t from, int32_t to, const Own& own) const {
  const Norm none;
  for (int32_t r = from; r < to && place.x != nullptr; r++) {
    const int64_t row = source.indices == nullptr ? r : source.indices[r];
    const Norm& norm = source.norm == nullptr ? none : *source.norm;
    applyNorm(kernels_, norm, source.x + row * source.ldx, place.x + r * place.ldx, source.cols);
  }
  if (source.adapter != nullptr) adapt(*source.adapter, place.x + from * place.ldx, place.ldx, to - from, own);
  const int64_t ldx = place.x == nullptr ? source.ldx : place.ldx;
  const float* x = (place.x == nullptr ? source.x : place.x) + from * ldx;
  if (source.quantize) kernels_.quantizeRows(x, ldx, to - from, source.cols, levelsFrom(place.levels, 0, from));
  for (const auto& [role, name] : kRoles) {
    if (source.lowRanks[role] == nullptr) continue;
    const PackedMatrix& a = source.lowRanks[role]->a;
    kernels_.floatProduct(a, 0, a.tiles, x, ldx, to - from, place.low[role] + from * place.ldLow, place.ldLow,
                          own.panel.data());
  }
}

/** x += up(silu(down(x))), a few rows at a time: whole rows by one thread, in f32 whatever the products behind take. */
void InputRows::adapt(const HeadAdapter& adapter, float* x, int64_t ldx, int32_t rows, const Own& own) const {
  const PackedMatrix &down = adapter.down, &up = adapter.up;
  const int64_t ldLow = paddedCols(down.rows), ldAdded = paddedCols(up.rows);
  float* const low = own.adapted.data();
  float* const added = low + kRowGrain * ldLow;
  for (int32_t done = 0; done < rows; done += kRowGrain) {
    const int32_t count = std::min<int32_t>(kRowGrain, rows - done);
    float* const first = x + done * ldx;
    kernels_.floatProduct(down, 0, down.tiles, first, ldx, count, low, ldLow, own.panel.data());
    for (int32_t r = 0; r < count; r++) kernels_.activate(Activation::Silu, low + r * ldLow, down.rows);
    kernels_.floatProduct(up, 0, up.tiles, low, ldLow, count, added, ldAdded, own.panel.data());
    for (int32_t r = 0; r < count; r++) kernels_.add(first + r * ldx, added + r * ldAdded, up.rows);
  }
}

PreparedRows InputRows::prepare(Worker& worker, const InputSource& source) {
  const Own& own = own_[static_cast<size_t>(worker.index)];
  const bool share = source.rows > kOwnRows;
  const Place place = placeOf(share ? shared_ : own.rows, source);
  if (!nothingToDo(source) && share) {
    worker.forParts(source.rows, kRowGrain, [&](int64_t from, int64_t to) {
      make(source, place, static_cast<int32_t>(from), static_cast<int32_t>(to), own);
    });
    worker.barrier();
  } else if (!nothingToDo(source)) {
    make(source, place, 0, source.rows, own);
  }
  PreparedRows out;
  out.input = {source.x, source.ldx, place.levels, source.rows};
  if (place.x != nullptr) out.input = {place.x, place.ldx, place.levels, source.rows};
  if (source.capture != nullptr) copyRows(worker, out.input, source.cols, source.capture);
  for (const auto& [role, name] : kRoles) out.low[role] = place.low[role];
  out.ldLow = place.ldLow;
  return out;
}

}  // namespace layerwise
