import type { ExitTable } from "../artifact/exits/table.ts";
import { readManifest } from "../artifact/reader.ts";
import { statesFolderOf, statesIn } from "./exit-states.ts";
import type { Job } from "./job.ts";
import { type ExitTraining, exitsStep } from "./steps/exits.ts";

/** Exits of an artifact. */
export interface TrainedArtifactExits {
  readonly table: ExitTable;
  readonly heads: readonly ExitTraining[];
  /** Where the states of their text lie, for other exits at the same points; null where they are not there (any more). */
  readonly states: { readonly folder: string; readonly bytes: number } | null;
}

/** What the step `exits` has made of the job's artifact. */
export async function trainedExits(job: Job): Promise<TrainedArtifactExits> {
  const { heads } = (await job.get(exitsStep)).value;
  const { exits: table } = await readManifest(job.artifactFolder);
  if (!table) throw new Error(`${job.artifactFolder}: the exits that were added are not there`);
  return { table, heads, states: await statesIn(await job.once(statesFolderOf)) };
}
