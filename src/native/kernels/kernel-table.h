// The table that every instruction set fills in.
//
// Every kernel gives the same bits in every table: the same IEEE operations in the same order. Sums over a row run in
// 16 lanes (lane i takes elements i, i + 16, …) that are added pairwise at the end: i + (i+8), i + (i+4), i + (i+2), i
// + (i+1). "fma(a, b, c)" is a * b + c rounded once. No kernel's result for a row depends on which other rows are in
// the call.
#pragma once
#include "device-kernels.h"
#include "offline-kernels.h"

namespace layerwise {

struct KernelTable {
  /** `scalar`, `avx2`, `avx512`, `avx512vnni`, `avx512vbmi2`, `neon`, `neondot`. */
  const char* name;
  DeviceKernels device;
  /** Null where the instruction set brings none: the plain ones then serve, which give the same bits. */
  const OfflineKernels* offline;
};

/** A table and whether this machine runs it. */
struct KernelChoice {
  const KernelTable* table;
  /** Null where it runs here; else what is missing, as `the processor has no AVX-512 VNNI`. */
  const char* unavailable;
};

/** Every table that was compiled in, slowest first. */
const KernelChoice* kernelChoices(int* count);

/** The kernels of the offline stages that go with a table. */
const OfflineKernels& offlineKernelsOf(const KernelTable& table);

}  // namespace layerwise
