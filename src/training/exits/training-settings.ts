import type { HeadKind } from "./head-parameters.ts";

/** How exit heads are trained. */
export interface TrainingSettings {
  /** Passes over the training tokens at most. */
  readonly epochs: number;
  readonly batchTokens: number;
  /** AdamW's first rate, which falls to 0 on half a cosine; and its weight decay. */
  readonly rate: number;
  readonly decay: number;
  /** Steps between two looks at the held-out tokens, which are also those between two saved states. */
  readonly evaluateEvery: number;
  /** Training ends after so many looks in a row at which no head had become better. */
  readonly patience: number;
}

/**
 * A linear head's rate is the paper's (arXiv 2407.21082); adapters have a hundredth of its numbers and take larger
 * steps.
 */
export const TRAINING_DEFAULTS: Readonly<Record<HeadKind, TrainingSettings>> = {
  adapter: { epochs: 2, batchTokens: 256, rate: 3e-3, decay: 0.01, evaluateEvery: 200, patience: 4 },
  linear: { epochs: 2, batchTokens: 256, rate: 1e-4, decay: 0.01, evaluateEvery: 200, patience: 4 },
};
