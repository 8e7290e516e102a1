// Loops over a fixed few registers: unrolled before the compiler decides what lives in memory, or sums held in an array
// are written to the stack at every step.
#pragma once

#define LAYERWISE_PRAGMA(words) _Pragma(#words)

#if defined(__clang__)
#define LAYERWISE_UNROLL_UP_TO(steps) LAYERWISE_PRAGMA(clang loop unroll(full))
#elif defined(__GNUC__)
#define LAYERWISE_UNROLL_UP_TO(steps) LAYERWISE_PRAGMA(GCC unroll steps)
#else
#define LAYERWISE_UNROLL_UP_TO(steps)
#endif
#define LAYERWISE_UNROLL LAYERWISE_UNROLL_UP_TO(8)

// Functions whose arguments are known where they are called: left out of line, their arrays of registers would be in
// memory.
#if defined(__GNUC__)
#define LAYERWISE_INLINE __attribute__((always_inline))
#else
#define LAYERWISE_INLINE
#endif
