// Packing: the bytes of Codec.pack (src/codecs/float.ts, integer-pack.ts), a tile at a time.
#include "pack.h"

#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/** Tiles that a thread takes at a time. */
constexpr int64_t kPartTiles = 4;

}  // namespace

void FirstProblem::note(const char* problem, int64_t index) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (found_.problem != nullptr && found_.index <= index) return;
  found_ = {problem, index};
}

PackProblem pack(const Machine& on, const PackCall& call) {
  const int64_t tiles = ceilDiv(call.rows, kTileRows);
  if (tiles == 0 || call.cols == 0) return {nullptr, -1};
  const int64_t stride = packedBytes(call.form, call.rows, call.cols) / tiles;
  const int64_t scratch = isInteger(call.form.kind) ? 0 : call.cols * kTileRows;
  const Scratch<float> columns(scratch * on.pool.threads());
  FirstProblem problem;
  on.pool.run([&](Worker& me) {
    me.forParts(tiles, kPartTiles, [&](int64_t from, int64_t to) {
      for (int64_t tile = from; tile < to && !on.aborted(); tile++) {
        uint8_t* out = call.out + tile * stride;
        if (isInteger(call.form.kind)) {
          packIntegerTile(call, tile, stride, out, &problem);
        } else {
          packFloatTile(on.device, call, tile, stride, out, columns.data() + me.index * scratch, &problem);
        }
      }
    });
  });
  return problem.found();
}

}  // namespace offline
}  // namespace layerwise
