// The table of processors with AVX-512 and VNNI. Compiled for them: nothing in it may run before cpu-features.cpp has
// looked.
#include "cpu-features.h"
#define LAYERWISE_SIMD avx512vnni
#define LAYERWISE_VNNI 1
#define LAYERWISE_VBMI2 0
#include "simd-avx512.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-avx512.inc.h"
#include "device-kernels.inc.h"
#include "offline-kernels.inc.h"

namespace layerwise {

const KernelTable kAvx512VnniTable = {
    .name = "avx512vnni", .device = avx512vnni::kDevice, .offline = &avx512vnni::kOffline};

}  // namespace layerwise
