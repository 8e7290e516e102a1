// The table of 64-bit ARM processors with the dot-product instructions.
#include "cpu-features.h"
#define LAYERWISE_SIMD neondot
#define LAYERWISE_DOT_PRODUCT 1
#include "simd-neon.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-neon.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kNeonDotTable = {.name = "neondot", .device = neondot::kDevice, .offline = &neondot::kOffline};

}  // namespace layerwise
