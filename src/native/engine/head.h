// Output head and exit heads: norm and adapter, then one product straight into the caller's logits, or answers from
// them.
#pragma once
#include "input-rows.h"

namespace layerwise {

/** Some rows of a LogitsRun or an AnswersRun. */
struct HeadChunk {
  const Head* head = nullptr;
  bool norm = true;
  /** Row r is input + indices[r] * hiddenSize. */
  const float* input = nullptr;
  const int32_t* indices = nullptr;
  int32_t rows = 0;
  /** [rows, width of the head] */
  float* output = nullptr;
};

/** By all threads of a job; the caller's next barrier makes the logits visible. Does not allocate. */
void runHead(Worker& worker, const DeviceKernels& kernels, ActivationType activations, InputRows& inputs,
             const HeadChunk& chunk);

/** Where answers of rows go: see AnswersRun. */
struct AnswerPlace {
  int32_t* best;
  float* entropy;
  float* maxProbability;
  float* margin;
};

/**
 * What rows of `width` logits each say, behind a barrier after them. The same numbers on any threads. Does not
 * allocate.
 */
void answerRows(Worker& worker, const DeviceKernels& kernels, const float* logits, int32_t rows, int32_t width,
                const AnswerPlace& out);

}  // namespace layerwise
