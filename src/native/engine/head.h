// Output head and exit heads: norm, then one product straight into the caller's logits.
#pragma once
#include "input-rows.h"

namespace layerwise {

/** Some rows of a LogitsRun. */
struct HeadChunk {
  const Head* head = nullptr;
  bool norm = true;
  /** Row r is input + indices[r] * hiddenSize. */
  const float* input = nullptr;
  const int32_t* indices = nullptr;
  int32_t rows = 0;
  /** [rows, rows of the head] */
  float* output = nullptr;
};

/** By all threads of a job; the caller's next barrier makes the logits visible. Does not allocate. */
void runHead(Worker& worker, const KernelTable& kernels, ActivationType activations, InputRows& inputs,
             const HeadChunk& chunk);

}  // namespace layerwise
