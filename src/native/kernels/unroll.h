// Loops over a fixed few registers: unrolled before the compiler decides what lives in memory, or sums held in an array are
// written to the stack at every step.
#pragma once

#if defined(__clang__)
#define LAYERWISE_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define LAYERWISE_UNROLL _Pragma("GCC unroll 8")
#else
#define LAYERWISE_UNROLL
#endif

// Functions whose arguments are known where they are called: left out of line, their arrays of registers would be in memory.
#if defined(__GNUC__)
#define LAYERWISE_INLINE __attribute__((always_inline))
#else
#define LAYERWISE_INLINE
#endif
