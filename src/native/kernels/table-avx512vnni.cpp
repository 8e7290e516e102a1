// The table of processors with AVX-512 and VNNI. Compiled for them: nothing in it may run before cpu-features.cpp has
// looked.
#include "cpu-features.h"
#define LAYERWISE_SIMD avx512vnni
#define LAYERWISE_VNNI 1
#include "simd-avx512.h"
#define LAYERWISE_INTEGER_PRODUCT "integer-product-avx512.inc.h"
#include "kernels.inc.h"

namespace layerwise {

const KernelTable kAvx512VnniTable = {
    "avx512vnni",
#include "table-fields.inc.h"
};

}  // namespace layerwise
