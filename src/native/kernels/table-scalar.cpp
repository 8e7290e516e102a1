// The plain table: runs on every processor and defines what the others compute.
#include "cpu-features.h"
#include "simd-scalar.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-scalar.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kScalarTable = {.name = "scalar", .device = scalar::kDevice, .offline = &scalar::kOffline};

}  // namespace layerwise
