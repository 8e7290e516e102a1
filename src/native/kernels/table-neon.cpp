// The table of 64-bit ARM processors (NEON) without the dot-product instructions.
#include "cpu-features.h"
#define LAYERWISE_SIMD neon
#define LAYERWISE_DOT_PRODUCT 0
#include "simd-neon.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-neon.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kNeonTable = {.name = "neon", .device = neon::kDevice, .offline = &neon::kOffline};

}  // namespace layerwise
