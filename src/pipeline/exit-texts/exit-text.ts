import type { SourceRequest } from "../../calibration/build.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { WorkOptions } from "../../progress.ts";
import type { Trunk } from "../trunk.ts";

/** What text for exits is made from. */
interface ExitTextWork extends WorkOptions {
  readonly tokenizer: Tokenizer;
  readonly files: readonly SourceRequest[];
  /** Of all sequences together, as many as there are. */
  readonly tokens: number;
  /** Of a sequence of the files. */
  readonly sequenceTokens: number;
  /** Sequences of the same files that exits must not see: the guard's. */
  readonly heldOut: readonly (readonly number[])[];
  readonly seed: number;
  /** The packed model that the exits are for. */
  trunk(): Promise<Trunk>;
  /** For partial work; found again by a run that goes on. */
  scratch(): Promise<string>;
}

/** One way to come by the text that exits are trained, calibrated and reported on. */
export interface ExitTextSource {
  /** Tokens of its sequences, and in how many equal parts they come. */
  shape(given: { readonly files: number; readonly sequenceTokens: number }): {
    readonly parts: number;
    readonly sequenceTokens: number;
  };
  /** All that the text depends on beside its name, files, tokenizer, seed and lengths: plain JSON. */
  inputs(work: Pick<ExitTextWork, "trunk">): Promise<Readonly<Record<string, unknown>>>;
  sequences(work: ExitTextWork): Promise<readonly Int32Array[]>;
}
