// All kernels of one table: included by table-<isa>.cpp after its simd-<isa>.h, in the namespace that LAYERWISE_SIMD names.
#include "kernel-table.h"
#include "level-tables.h"

// Included once per table file on purpose: no #pragma once here or in the bodies.
namespace layerwise {
namespace LAYERWISE_SIMD {
#include "elementwise.inc.h"
#include "logit-rows.inc.h"
#include "attention.inc.h"
#include "unpack.inc.h"
#include "float-product.inc.h"
#include "dense.inc.h"
#include "integer-form.inc.h"
// The integer product is written for each kind of processor: integer-product-<isa>.inc.h
#include LAYERWISE_INTEGER_PRODUCT
}  // namespace LAYERWISE_SIMD
}  // namespace layerwise
