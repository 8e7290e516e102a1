import { gatherCalibration } from "../../calibration/gather.ts";
import type { ExitTextSource } from "./exit-text.ts";

/** More of the text files, in sequences as long as the calibration's. */
export const calibrationText: ExitTextSource = {
  // Files give whole sequences, as many each.
  shape: ({ files, sequenceTokens }) => ({ parts: files, sequenceTokens }),
  inputs: async () => ({}),
  async sequences({ tokenizer, files, tokens, sequenceTokens, seed, heldOut, onProgress, signal }) {
    const options = { tokens, sequenceTokens, seed, heldOut, onProgress, signal };
    return (await gatherCalibration(tokenizer, files, options)).sequences;
  },
};
