// Looks at the processor once: its features, and whether the system saves the registers that they use.
#include "cpu-features.h"

#if defined(LAYERWISE_HAVE_AVX2) && defined(_MSC_VER)
#include <intrin.h>
#elif defined(LAYERWISE_HAVE_AVX2)
#include <cpuid.h>
#elif defined(LAYERWISE_HAVE_NEON) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(LAYERWISE_HAVE_NEON) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace layerwise {
namespace {

#ifdef LAYERWISE_HAVE_AVX2

struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

/** All zeros where the processor has no such leaf. */
Registers cpuid(uint32_t leaf) {
  Registers r = {0, 0, 0, 0};
#ifdef _MSC_VER
  int out[4];
  __cpuid(out, 0);
  if (static_cast<uint32_t>(out[0]) < leaf) return r;
  __cpuidex(out, static_cast<int>(leaf), 0);
  r = {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]),
       static_cast<uint32_t>(out[3])};
#else
  if (__get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {0, 0, 0, 0};
#endif
  return r;
}

/** Register sets that the system saves; only where cpuid says that it may be asked. */
uint64_t savedRegisters() {
#ifdef _MSC_VER
  return _xgetbv(0);
#else
  uint32_t low, high;
  // The intrinsic would need this file to be compiled for newer processors.
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

constexpr bool bit(uint32_t word, int at) { return (word >> at & 1u) != 0; }

/** What is missing for each table, null where nothing is. */
struct Missing {
  const char* avx2;
  const char* avx512;
  const char* vnni;
  const char* vbmi2;
};

const char* missingForAvx2(const Registers& one, const Registers& seven, uint64_t saved) {
  if (!bit(one.ecx, 28) || !bit(seven.ebx, 5)) return "the processor has no AVX2";
  if (!bit(one.ecx, 12)) return "the processor has no FMA";
  if (!bit(one.ecx, 29)) return "the processor has no F16C";
  if ((saved & 0x6) != 0x6) return "the operating system does not save the AVX registers";
  return nullptr;
}

const char* missingForAvx512(const Registers& seven, uint64_t saved) {
  if (!bit(seven.ebx, 16)) return "the processor has no AVX-512";
  if (!bit(seven.ebx, 17) || !bit(seven.ebx, 30) || !bit(seven.ebx, 31)) {
    return "the processor has no AVX-512 BW, VL and DQ";
  }
  if ((saved & 0xe6) != 0xe6) return "the operating system does not save the AVX-512 registers";
  return nullptr;
}

Missing look() {
  const Registers one = cpuid(1), seven = cpuid(7);
  const uint64_t saved = bit(one.ecx, 27) ? savedRegisters() : 0;
  Missing missing;
  missing.avx2 = missingForAvx2(one, seven, saved);
  // AVX-512's table also uses FMA and F16C.
  missing.avx512 = missing.avx2 != nullptr ? missing.avx2 : missingForAvx512(seven, saved);
  missing.vnni = missing.avx512;
  if (missing.vnni == nullptr && !bit(seven.ecx, 11)) missing.vnni = "the processor has no AVX-512 VNNI";
  missing.vbmi2 = missing.vnni;
  if (missing.vbmi2 == nullptr && !bit(seven.ecx, 6)) missing.vbmi2 = "the processor has no AVX-512 VBMI2";
  return missing;
}

#endif

#ifdef LAYERWISE_HAVE_NEON

const char* missingForDotProduct() {
#if defined(__linux__)
  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) >> 20 & 1) != 0 ? nullptr : "the processor has no dot-product instructions";
#elif defined(__APPLE__)
  int has = 0;
  size_t size = sizeof has;
  if (sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) != 0) has = 0;
  return has != 0 ? nullptr : "the processor has no dot-product instructions";
#else
  return "this system does not tell whether the processor has dot-product instructions";
#endif
}

#endif

}  // namespace

const KernelChoice* kernelChoices(int* count) {
#if defined(LAYERWISE_HAVE_AVX2)
  static const Missing missing = look();
  static const KernelChoice choices[] = {
      {&kScalarTable, nullptr},
      {&kAvx2Table, missing.avx2},
#ifdef LAYERWISE_HAVE_AVX512
      {&kAvx512Table, missing.avx512},
      {&kAvx512VnniTable, missing.vnni},
      {&kAvx512Vbmi2Table, missing.vbmi2},
#endif
  };
#elif defined(LAYERWISE_HAVE_NEON)
  static const KernelChoice choices[] = {
      {&kScalarTable, nullptr}, {&kNeonTable, nullptr}, {&kNeonDotTable, missingForDotProduct()}};
#else
  static const KernelChoice choices[] = {{&kScalarTable, nullptr}};
#endif
  *count = static_cast<int>(sizeof choices / sizeof choices[0]);
  return choices;
}

const OfflineKernels& offlineKernelsOf(const KernelTable& table) {
  return table.offline != nullptr ? *table.offline : *kScalarTable.offline;
}

}  // namespace layerwise
