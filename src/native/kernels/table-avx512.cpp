// The table of processors with AVX-512 (F, BW, VL, DQ) without VNNI. Compiled for them: nothing
// in it may run before cpu-features.cpp has looked.
#include "cpu-features.h"
#define LAYERWISE_SIMD avx512
#define LAYERWISE_VNNI 0
#define LAYERWISE_VBMI2 0
#include "simd-avx512.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-avx512.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kAvx512Table = {.name = "avx512", .device = avx512::kDevice, .offline = &avx512::kOffline};

}  // namespace layerwise
