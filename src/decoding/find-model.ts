import path from "node:path";
import { UserError } from "../errors.ts";
import { foreignAt, openFile } from "../formats/byte-source.ts";
import { isFolder, listFolder } from "../formats/files.ts";
import { hubNameError } from "../formats/hub-name.ts";
import { isOtherWeights } from "../model/checkpoint-folder.ts";

/** What a path holds that can be run. */
export interface FoundModel {
  readonly kind: "artifact" | "checkpoint";
  /** The folder itself; for a run folder its `artifact` folder. */
  readonly folder: string;
}

/**
 * Tells an artifact (also inside a run folder) from a checkpoint. Throws UserError MODEL_NOT_FOUND where it is neither.
 */
export async function findModel(target: string): Promise<FoundModel> {
  if (await isFile(path.join(target, "manifest.json"))) return { kind: "artifact", folder: target };
  for (const name of ["config.json", "adapter_config.json"]) {
    // An adapter's folder is opened as a checkpoint, which says what it is.
    if (await isFile(path.join(target, name))) return { kind: "checkpoint", folder: target };
  }
  const inside = path.join(target, "artifact");
  if (await isFile(path.join(inside, "manifest.json"))) return { kind: "artifact", folder: inside };
  const foreign = await foreignAt(target, "the folder of a checkpoint or an artifact");
  throw foreign ?? (await hubNameError(target)) ?? (await notFound(target));
}

async function notFound(target: string): Promise<UserError> {
  const names = await listFolder(target).catch(() => []);
  const other = names.find(isOtherWeights);
  const found = other ?? ((await isFolder(target)) ? "neither" : await notFolder(target));
  return new UserError(
    "MODEL_NOT_FOUND",
    `${target}: expected an artifact (manifest.json) or a checkpoint (config.json), found ${found}`,
    other === undefined
      ? "name the folder that holds one of them"
      : "start from the original checkpoint in safetensors",
  );
}

async function notFolder(target: string): Promise<string> {
  return (await isFile(target)) ? "a file" : "no such folder";
}

async function isFile(file: string): Promise<boolean> {
  try {
    const source = await openFile(file);
    await source.close();
    return true;
  } catch (error) {
    if (error instanceof UserError && (error.code === "FILE_NOT_FOUND" || error.code === "NOT_A_FOLDER")) return false;
    throw error;
  }
}
