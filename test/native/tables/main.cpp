// Compares tables with the scalar one: `check [--quick] [--emulated] [table …]`, all that run here by default.
// `--emulated` also calls tables whose instructions the processor lacks: for builds in which they are plain code. One
// line a table; exit 1 where any bit differs.
#include "../../../src/native/kernels/cpu-features.h"
#include "table-checks.h"

using namespace layerwise;

namespace {

/** Whether a table is named, or none is. */
bool asked(int argc, char** argv, const char* name) {
  bool any = false;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;
    any = true;
    if (strcmp(argv[i], name) == 0) return true;
  }
  return !any;
}

bool has(int argc, char** argv, const char* option) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], option) == 0) return true;
  }
  return false;
}

bool check(const KernelTable& table, bool quick) {
  Report report(table.name);
  const Subject subject = {table, kScalarTable, report, quick};
  checkElementwise(subject);
  checkLogitRows(subject);
  checkProducts(subject);
  checkAttention(subject);
  checkDense(subject);
  printf("%s: %ld numbers compared with scalar, %ld kernels' results differ\n", table.name, report.compared,
      report.different);
  return report.different == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = has(argc, argv, "--quick"), emulated = has(argc, argv, "--emulated");
  int count = 0, checked = 0;
  bool good = true;
  const KernelChoice* choices = kernelChoices(&count);
  for (int i = 0; i < count; i++) {
    if (choices[i].table == &kScalarTable || !asked(argc, argv, choices[i].table->name)) continue;
    if (choices[i].unavailable != nullptr && !emulated) {
      printf("%s: not run, %s\n", choices[i].table->name, choices[i].unavailable);
      continue;
    }
    good = check(*choices[i].table, quick) && good;
    checked++;
  }
  if (checked == 0) printf("no table to compare\n");
  return good && checked > 0 ? 0 : 1;
}
