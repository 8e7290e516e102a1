import path from "node:path";
import { findModel } from "../decoding/find-model.ts";
import { UserError } from "../errors.ts";
import { type RunOptions, savedOptions } from "./run-options.ts";

/** Where an artifact lies. */
export interface ArtifactPlace {
  readonly folder: string;
  /** The run folder that made it, and what that remembers; null: none. */
  readonly run: { readonly folder: string; readonly options: RunOptions } | null;
  /** Its name among several of that run; undefined: the only one. */
  readonly device: string | undefined;
}

const ARTIFACT_NAME = /^artifact(?:-([a-z0-9-]+))?$/;

/**
 * The place of an artifact that is named itself, or by its run folder. Throws UserError `EXITS_CHECKPOINT`, or as
 * findModel.
 */
export async function findArtifact(target: string): Promise<ArtifactPlace> {
  const { kind, folder } = await findModel(target);
  if (kind === "checkpoint") {
    throw new UserError(
      "EXITS_CHECKPOINT",
      `${target}: expected an artifact or a run folder, found a checkpoint`,
      "exits are trained on the packed model: layerwise compress makes it, with --recipe dssd with exits at once",
    );
  }
  const name = ARTIFACT_NAME.exec(path.basename(path.resolve(folder)));
  const parent = path.dirname(path.resolve(folder));
  const options = name && (await savedOptions(parent));
  return options
    ? { folder, run: { folder: parent, options }, device: name[1] }
    : { folder, run: null, device: undefined };
}
