// Products with packed matrices of every form, odd shapes, and codes and activations at their limits.
#include "../../../src/native/kernels/level-tables.h"
#include "random-inputs.h"
#include "table-checks.h"

namespace layerwise {
namespace {

std::string nameOf(const CodecForm& form, int32_t rows, int32_t cols, int32_t xrows) {
  constexpr const char* kinds[] = {"f32", "f16", "bf16", "q2", "q3", "q4", "q5", "q6", "q8"};
  std::string name = kinds[static_cast<int>(form.kind)];
  if (isInteger(form.kind)) name += (form.table ? "t-" : form.asymmetric ? "a-" : "s-") + std::to_string(form.group);
  if (form.twoLevel) name += "-s8";
  if (form.sparse()) name += "-" + std::to_string(form.keptCount) + "of" + std::to_string(form.keptOf);
  return name + " " + std::to_string(rows) + "x" + std::to_string(cols) + ", " + std::to_string(xrows) + " rows";
}

/** Levels, scales and sums of `rows` rows, with room in every chunk for `stride`. */
struct Quantized {
  Guarded<int8_t> levels;
  Guarded<float> scales;
  Guarded<int32_t> sums;
  int32_t stride;

  Quantized(int32_t cols, int32_t stride)
      : levels(static_cast<size_t>((cols + 31) / 32 * stride * 32), 0x5a),
        scales(static_cast<size_t>((cols + 31) / 32 * stride), 0x5a),
        sums(static_cast<size_t>((cols + 31) / 32 * stride), 0x5a),
        stride(stride) {}

  QuantizedRows view() { return {levels.data(), scales.data(), sums.data(), stride}; }
};

/** Quantizes with both tables, compares, and returns the scalar one's. */
Quantized quantizeBoth(const Subject& s, const float* x, int64_t ldx, int32_t rows, int32_t cols,
                       const std::string& name) {
  const int32_t stride = (rows + 3) / 4 * 4;
  Quantized found(cols, stride), expected(cols, stride);
  s.table.device.quantizeRows(x, ldx, rows, cols, found.view());
  s.scalar.device.quantizeRows(x, ldx, rows, cols, expected.view());
  s.report.same("quantizeRows levels, " + name, found.levels.data(), expected.levels.data(), expected.levels.count());
  s.report.same("quantizeRows scales, " + name, found.scales.data(), expected.scales.data(), expected.scales.count());
  s.report.same("quantizeRows sums, " + name, found.sums.data(), expected.sums.data(), expected.sums.count());
  if (found.levels.overrun() || found.scales.overrun() || found.sums.overrun())
    s.report.fail("quantizeRows overruns, " + name);
  return expected;
}

/** Runs one product with both tables into fresh outputs and compares them, also what must stay untouched. */
template <class Run>
void compareProduct(const Subject& s, const std::string& name, size_t count, Run run) {
  Guarded<float> found(count, 0x5a), expected(count, 0x5a);
  run(s.table, found.data());
  run(s.scalar, expected.data());
  s.report.same(name, found.data(), expected.data(), count);
  if (found.overrun()) s.report.fail(name + ": writes beyond the end");
}

void checkFloatProducts(const Subject& s, const PackedMatrix& w, const std::vector<float>& x, int32_t xrows,
                        const std::string& name) {
  Guarded<float> panel(kPanelFloats, 0);
  const int64_t ldx = w.cols + 3, ldy = w.rows + 3;
  const size_t outputs = static_cast<size_t>(xrows * ldy), inputs = static_cast<size_t>(xrows * ldx);
  const int32_t from = w.tiles > 2 ? 1 : 0;
  compareProduct(s, "floatProduct, " + name, outputs, [&](const KernelTable& table, float* y) {
    table.device.floatProduct(w, from, w.tiles, x.data(), ldx, xrows, y, ldy, panel.data());
  });
  std::vector<float> dy(outputs);
  for (size_t i = 0; i < outputs; i++) dy[i] = x[i % x.size()];
  compareProduct(s, "floatProductTransposed, " + name, inputs, [&](const KernelTable& table, float* dx) {
    const int32_t chunkFrom = w.chunks > 2 ? 1 : 0;
    table.device.floatProductTransposed(w, chunkFrom, w.chunks, dy.data(), ldy, xrows, dx, ldx, panel.data());
  });
}

void checkUnpacking(const Subject& s, const PackedMatrix& w, const std::string& name) {
  for (int32_t row = 0; row < w.rows; row += 5) {
    compareProduct(s, "unpackRow, " + name, static_cast<size_t>(w.cols),
                   [&](const KernelTable& table, float* out) { table.device.unpackRow(w, row, out); });
  }
}

struct Shape {
  int32_t rows, cols, xrows;
};

void checkMatrix(const Subject& s, Random& random, const CodecForm& form, const Shape& shape, Codes codes, Sort sort,
                 bool specials) {
  const std::string name = nameOf(form, shape.rows, shape.cols, shape.xrows);
  RandomMatrix matrix = randomMatrix(random, form, shape.rows, shape.cols, codes, specials);
  const PackedMatrix& w = matrix.view;
  const int64_t ldx = shape.cols + 3, ldy = shape.rows + 3;
  const std::vector<float> x = numbers(random, static_cast<size_t>(shape.xrows * ldx), sort);
  checkUnpacking(s, w, name);
  checkFloatProducts(s, w, x, shape.xrows, name);
  if (!isInteger(form.kind)) return;
  Quantized levels = quantizeBoth(s, x.data(), ldx, shape.xrows, shape.cols, name);
  const int32_t from = w.tiles > 2 ? 1 : 0;
  compareProduct(s, "integerProduct, " + name, static_cast<size_t>(shape.xrows * ldy),
                 [&](const KernelTable& table, float* y) {
                   table.device.integerProduct(w, from, w.tiles, levels.view(), shape.xrows, y, ldy);
                 });
}

void checkForm(const Subject& s, Random& random, const CodecForm& form) {
  constexpr Shape shapes[] = {{1, 1, 1},   {16, 32, 2},  {17, 33, 3},  {15, 100, 5},
                              {40, 288, 1}, {33, 161, 9}, {16, 300, 17}, {5, 7, 130}};
  for (const Shape& shape : shapes) {
    // The largest and the whole tiles: what the others show too, and what takes most of the time.
    if (s.quick && shape.rows % 8 == 0) continue;
    checkMatrix(s, random, form, shape, Codes::Random, Sort::Plain, false);
  }
  // No sum of products may saturate: all codes and activations at their ends, of either sign.
  for (Codes codes : {Codes::Least, Codes::Most}) {
    checkMatrix(s, random, form, {16, 128, 1}, codes, Sort::Extreme, false);
    checkMatrix(s, random, form, {16, 128, 3}, codes, Sort::Extreme, false);
  }
  for (Sort sort : kSorts) checkMatrix(s, random, form, {20, 72, 4}, Codes::Random, sort, true);
}

}  // namespace

void checkProducts(const Subject& subject) {
  Random random(1);
  for (CodecKind kind : {CodecKind::F32, CodecKind::F16, CodecKind::BF16}) checkForm(subject, random, {kind, false, 0});
  for (CodecKind kind : {CodecKind::Q2, CodecKind::Q3, CodecKind::Q4, CodecKind::Q5, CodecKind::Q6, CodecKind::Q8}) {
    for (bool asymmetric : {false, true}) {
      for (int32_t group : {32, 64, 128, 0}) {
        if (subject.quick && (group == 32) == asymmetric) continue;
        checkForm(subject, random, {kind, asymmetric, group});
      }
    }
  }
  // Tables and two-level scales, each with and without the other.
  for (CodecKind kind : {CodecKind::Q2, CodecKind::Q3, CodecKind::Q4, CodecKind::Q5, CodecKind::Q6, CodecKind::Q8}) {
    for (int32_t group : {32, 64, 0}) {
      if (subject.quick && (group == 64) != (kind == CodecKind::Q4)) continue;
      checkForm(subject, random, {kind, true, group, false, true});
      checkForm(subject, random, {kind, false, group, false, true});
      if (bitsOf(kind) > kMostTableBits) continue;
      checkForm(subject, random, {kind, false, group, true, false});
      checkForm(subject, random, {kind, false, group, true, true});
    }
  }
  for (CodecKind kind : {CodecKind::Q3, CodecKind::Q4, CodecKind::Q8}) {
    for (int32_t count : {8, 16, 24}) {
      if (subject.quick && (count == 8) != (kind == CodecKind::Q4)) continue;
      checkForm(subject, random, {kind, false, 32, false, false, count, 32});
    }
  }
}

}  // namespace layerwise
