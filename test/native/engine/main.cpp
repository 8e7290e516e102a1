// What the tests of the engine's parts run: `page-memory` and `block-stream` check them against their promises,
// `cores-of-quota ROOT` prints a number.
#include <cstdio>
#include <cstring>

#include "../../../src/native/engine/cpu-quota.h"

/** Number of broken promises, each printed. */
int checkPageMemory();
int checkBlockStream();

int main(int count, char** words) {
  if (count == 2 && std::strcmp(words[1], "page-memory") == 0) return checkPageMemory() > 0 ? 1 : 0;
  if (count == 2 && std::strcmp(words[1], "block-stream") == 0) return checkBlockStream() > 0 ? 1 : 0;
  if (count == 3 && std::strcmp(words[1], "cores-of-quota") == 0) {
    std::printf("%d\n", layerwise::coresOfQuota(words[2]));
    return 0;
  }
  std::fprintf(stderr, "expected page-memory, block-stream, or cores-of-quota ROOT\n");
  return 2;
}
