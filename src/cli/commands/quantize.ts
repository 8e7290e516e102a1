import { stepCommand } from "../step-command.ts";

/** `layerwise quantize`: packs the artifact of a run folder's plan. */
export const quantizeCommand = stepCommand(
  "quantize",
  "artifact",
  "Quantize and pack the artifact that a run folder's plan asks for",
  "quantize outputs/smollm2 --budget '120 MiB'",
);
