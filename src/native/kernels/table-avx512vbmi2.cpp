// The table of processors with AVX-512, VNNI and VBMI2. Compiled for them: nothing in it may run before
// cpu-features.cpp has looked.
#include "cpu-features.h"
#define LAYERWISE_SIMD avx512vbmi2
#define LAYERWISE_VNNI 1
#define LAYERWISE_VBMI2 1
#include "simd-avx512.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-avx512.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kAvx512Vbmi2Table = {
    .name = "avx512vbmi2", .device = avx512vbmi2::kDevice, .offline = &avx512vbmi2::kOffline};

}  // namespace layerwise
