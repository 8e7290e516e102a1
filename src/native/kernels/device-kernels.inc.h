// The device's kernels of one instruction set: included by table-<isa>.cpp after its simd-<isa>.h, in the namespace
// that LAYERWISE_SIMD names. Included once per table file on purpose: no #pragma once here or in the bodies.
#include "kernel-table.h"
#include "level-tables.h"
#include "unroll.h"

namespace layerwise {
namespace LAYERWISE_SIMD {

#include "elementwise.inc.h"
#include "logit-rows.inc.h"
#include "attention.inc.h"
#include "planes.inc.h"
#include "sparse-levels.inc.h"
#include "unpack.inc.h"
#include "float-product.inc.h"
#include "read-bytes.inc.h"
#include "integer-form.inc.h"
// The integer product is written for each kind of processor: integer-product-<isa>.inc.h
#include LAYERWISE_INTEGER_PRODUCT

static constexpr DeviceKernels kDevice = {
    .quantizeRows = quantizeRows,
    .integerProduct = integerProduct,
    .floatProduct = floatProduct,
    .floatProductTransposed = floatProductTransposed,
    .unpackRow = unpackRow,
    .rmsNorm = rmsNorm,
    .layerNorm = layerNorm,
    .rotate = rotate,
    .activate = activate,
    .activateGated = activateGated,
    .add = addRows,
    .addScaled = addScaled,
    .scale = scaleRow,
    .toF16 = rowToF16,
    .fromF16 = rowFromF16,
    .answerLogits = answerLogits,
    .attend = attend,
    .mergeStates = mergeStates,
    .readBytes = readBytes,
};

}  // namespace LAYERWISE_SIMD
}  // namespace layerwise
