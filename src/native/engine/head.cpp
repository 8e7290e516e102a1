// Logits of a chunk of rows, and what they say.
#include "head.h"

#include <cmath>

namespace layerwise {

void runHead(Worker& worker, const DeviceKernels& kernels, ActivationType activations, InputRows& inputs,
             const HeadChunk& chunk) {
  const PackedMatrix& w = chunk.head->linear.matrix;
  InputSource source;
  source.x = chunk.input;
  source.ldx = w.cols;
  source.indices = chunk.indices;
  source.rows = chunk.rows;
  source.cols = w.cols;
  if (chunk.norm) source.norm = &chunk.head->norm;
  if (chunk.head->adapter.present()) source.adapter = &chunk.head->adapter;
  source.quantize = activations == ActivationType::Int8 && isInteger(w.kind);
  const PreparedRows rows = inputs.prepare(worker, source);
  Product product;
  product.linear = &chunk.head->linear;
  product.y = chunk.output;
  product.ldy = chunk.head->width();
  Product tail = product;
  tail.linear = &chunk.head->tail;
  tail.y += w.rows;
  const ProductRoom room = inputs.productRoom(worker);
  const Cut cut = cutOf(w.tiles, 1, w.tileStride, chunk.rows, worker.count);
  forCut(worker, cut, [&](int32_t from, int32_t to, int32_t rowFrom, int32_t rowTo) {
    productPart(kernels, product, rows.input, {from, to, rowFrom, rowTo}, room);
    // Whoever has the last tile has the last logit too.
    if (to == w.tiles && chunk.head->tail.matrix.present()) {
      productPart(kernels, tail, rows.input, {0, 1, rowFrom, rowTo}, room);
    }
  });
}

void answerRows(Worker& worker, const DeviceKernels& kernels, const float* logits, int32_t rows, int32_t width,
                const AnswerPlace& out) {
  worker.forParts(rows, 1, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++) {
      RowAnswer answer;
      kernels.answerLogits(logits + row * width, width, &answer);
      out.best[row] = static_cast<int32_t>(answer.largest);
      out.entropy[row] = static_cast<float>(std::log(answer.mass) - answer.slope / answer.mass);
      out.maxProbability[row] = static_cast<float>(1 / answer.mass);
      out.margin[row] = static_cast<float>((1 - static_cast<double>(answer.second)) / answer.mass);
    }
  });
}

}  // namespace layerwise
