// Logits of a chunk of rows.
#include "head.h"

namespace layerwise {

void runHead(Worker& worker, const KernelTable& kernels, ActivationType activations, InputRows& inputs,
             const HeadChunk& chunk) {
  const PackedMatrix& w = chunk.head->linear.matrix;
  InputSource source;
  source.x = chunk.input;
  source.ldx = w.cols;
  source.indices = chunk.indices;
  source.rows = chunk.rows;
  source.cols = w.cols;
  if (chunk.norm) source.norm = &chunk.head->norm;
  source.quantize = activations == ActivationType::Int8 && isInteger(w.kind);
  const PreparedRows rows = inputs.prepare(worker, source);
  Product product;
  product.linear = &chunk.head->linear;
  product.y = chunk.output;
  product.ldy = w.rows;
  const ProductRoom room = inputs.productRoom(worker);
  const Cut cut = cutOf(w.tiles, 1, w.tileStride, chunk.rows, worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    productPart(kernels, product, rows.input, {from, to, rowFrom, rowTo}, room);
  });
}

}  // namespace layerwise
