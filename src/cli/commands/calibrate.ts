import { stepCommand } from "../step-command.ts";

/** `layerwise calibrate`: begins a run folder with its calibration tokens. */
export const calibrateCommand = stepCommand(
  "calibrate",
  "calibration",
  "Choose and encode the calibration text of a run folder",
  "calibrate models/smollm2 --recipe lsaq --out outputs/smollm2",
);
