import type { BlockQuantizer } from "./quantizer.ts";

/**
 * Learned rounding (AutoRound, arXiv 2309.05516) after gptq: codes, scales and vectors of each block by gradients,
 * which are computed on TensorFlow.js whatever the executor is. The same backend, version and threads give the same
 * bytes.
 */
export const learnedRounding = {
  begins: "gptq",
  async prepare({ iterations, seed, ...wanted }) {
    // Nothing else of a run loads TensorFlow.js where the native executor serves.
    const { LEARNING_DEFAULTS } = await import("../training/rounding/learning-settings.ts");
    const { openLearnedRounding } = await import("../training/rounding/learned-rounding.ts");
    const { openTrainingBackend } = await import("../runtime/tfjs/backend.ts");
    const { backend, version, threads } = await openTrainingBackend(wanted);
    const settings = { ...LEARNING_DEFAULTS, iterations: iterations ?? LEARNING_DEFAULTS.iterations };
    return {
      facts: { settings, seed, backend, version, threads },
      open: (inputs) => openLearnedRounding({ ...inputs, ...wanted, settings, seed }),
    };
  },
} as const satisfies BlockQuantizer;
