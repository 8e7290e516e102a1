import { gatherCalibration } from "../../calibration/gather.ts";
import { SELF_PROMPT_TOKENS, SELF_SAMPLING, SELF_TEXT_TOKENS, writeSelfText } from "../../training/exits/self-text.ts";
import type { ExitTextSource } from "./exit-text.ts";

/** Text that the packed model writes, from beginnings out of the files. */
export const selfText: ExitTextSource = {
  shape: () => ({ parts: 1, sequenceTokens: SELF_TEXT_TOKENS }),

  async inputs(work) {
    const { sha256, executor } = await work.trunk();
    return { self: [sha256, executor, SELF_PROMPT_TOKENS, SELF_SAMPLING, SELF_TEXT_TOKENS] };
  },

  /** Twice as many beginnings as whole texts need, since some end early. */
  async sequences({ tokenizer, files, tokens, heldOut, seed, onProgress, signal, ...work }) {
    const { most } = SELF_PROMPT_TOKENS;
    const wanted = Math.max(files.length, 2 * Math.ceil(tokens / SELF_TEXT_TOKENS));
    const { sequences: prompts } = await gatherCalibration(tokenizer, files, {
      ...{ tokens: wanted * most, sequenceTokens: most, seed, heldOut, signal },
    });
    const folder = await work.scratch();
    const trunk = await work.trunk();
    return trunk.use((executor, { memory: { kvType } }) =>
      writeSelfText({ executor, prompts, tokens, seed, kvType, folder, onProgress, signal }),
    );
  },
};
