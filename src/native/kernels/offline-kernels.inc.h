// The kernels of one instruction set for the offline stages: included by table-<isa>.cpp after device-kernels.inc.h,
// some of whose functions they use.

namespace layerwise {
namespace LAYERWISE_SIMD {

#include "logit-sums.inc.h"
#include "dense.inc.h"
#include "dense-double.inc.h"
#include "fit-sums.inc.h"
#include "refine-row.inc.h"

static constexpr OfflineKernels kOffline = {
    .sumLogits = sumLogits,
    .gemmTile = gemmTile,
    .subtractTile = subtractTile,
    .subtractChosen = subtractChosen,
    .solveTile = solveTile,
    .fitSums = fitSums,
    .fitErrors = fitErrors,
    .levelProduct = levelProduct,
    .sweepLevels = sweepLevels,
};

}  // namespace LAYERWISE_SIMD
}  // namespace layerwise
