import type { WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { Example } from "./examples.ts";
import type { TuneSettings } from "./settings.ts";

/** What is tuned, on what, and how. */
export interface TuneModelOptions extends WorkOptions {
  readonly source: WeightSource;
  readonly executor: AnyExecutor;
  /** Names the weights. */
  readonly modelId: string;
  readonly train: readonly Example[];
  /** Looked at before and after; nothing is learned from them. */
  readonly heldOut: readonly Example[];
  readonly settings: TuneSettings;
  /** A folder that exists, for the state and the states below windows. */
  readonly folder: string;
}
