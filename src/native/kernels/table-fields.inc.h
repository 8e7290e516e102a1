// The fields of a KernelTable after its name, in order: included by each table-<isa>.cpp between the braces.
LAYERWISE_SIMD::quantizeRows, LAYERWISE_SIMD::integerProduct, LAYERWISE_SIMD::floatProduct,
    LAYERWISE_SIMD::floatProductTransposed, LAYERWISE_SIMD::unpackRow, LAYERWISE_SIMD::rmsNorm,
    LAYERWISE_SIMD::layerNorm,
    LAYERWISE_SIMD::rotate, LAYERWISE_SIMD::activate, LAYERWISE_SIMD::activateGated, LAYERWISE_SIMD::addRows,
    LAYERWISE_SIMD::addScaled, LAYERWISE_SIMD::scaleRow, LAYERWISE_SIMD::rowToF16, LAYERWISE_SIMD::rowFromF16,
    LAYERWISE_SIMD::sumLogits, LAYERWISE_SIMD::answerLogits, LAYERWISE_SIMD::attend, LAYERWISE_SIMD::mergeStates,
    LAYERWISE_SIMD::gemmTile, LAYERWISE_SIMD::subtractTile, LAYERWISE_SIMD::solveTile, LAYERWISE_SIMD::fitSums, LAYERWISE_SIMD::fitErrors, LAYERWISE_SIMD::readBytes,
