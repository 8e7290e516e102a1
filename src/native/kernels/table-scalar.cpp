// The plain table: runs on every processor and defines what the others compute.
#include "cpu-features.h"
#include "simd-scalar.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-scalar.inc.h"
#include "kernels.inc.h"

namespace layerwise {

const KernelTable kScalarTable = {
    "scalar",
#include "table-fields.inc.h"
};

}  // namespace layerwise
