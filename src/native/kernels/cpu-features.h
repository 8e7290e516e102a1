// Which tables were compiled in, and which of them this processor runs.
#pragma once
#include "kernel-table.h"

#if defined(__x86_64__) || defined(_M_X64)
#define LAYERWISE_HAVE_AVX2 1
// LAYERWISE_NO_AVX512 leaves those tables out, for compilers that do not know the instructions.
#ifndef LAYERWISE_NO_AVX512
#define LAYERWISE_HAVE_AVX512 1
#endif
#elif defined(__aarch64__)
#define LAYERWISE_HAVE_NEON 1
#endif

namespace layerwise {

extern const KernelTable kScalarTable;
#ifdef LAYERWISE_HAVE_AVX2
extern const KernelTable kAvx2Table;
#endif
#ifdef LAYERWISE_HAVE_AVX512
extern const KernelTable kAvx512Table;
extern const KernelTable kAvx512VnniTable;
extern const KernelTable kAvx512Vbmi2Table;
#endif
#ifdef LAYERWISE_HAVE_NEON
extern const KernelTable kNeonTable;
extern const KernelTable kNeonDotTable;
#endif

}  // namespace layerwise
