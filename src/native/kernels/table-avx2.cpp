// The table of processors with AVX2, FMA and F16C. Compiled for them: nothing in it may run before cpu-features.cpp has
// looked.
#include "cpu-features.h"
#include "simd-avx2.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-avx2.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kAvx2Table = {.name = "avx2", .device = avx2::kDevice, .offline = &avx2::kOffline};

}  // namespace layerwise
