import { stepCommand } from "../step-command.ts";

/** `layerwise score`: measures how much each block matters. */
export const scoreCommand = stepCommand(
  "score",
  "scores",
  "Score the blocks on the calibration text of a run folder",
  "score outputs/smollm2",
);
