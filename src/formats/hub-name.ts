import path from "node:path";
import { UserError } from "../errors.ts";
import { isFolder } from "./files.ts";

/** Names on the Hugging Face hub: an owner and a model, or an address. */
const HUB_NAME = /^[\w.-]+\/[\w.-]+$/;
const ADDRESS = /^(?:https?|hf):\/+/;

/**
 * The error for a folder that is not there and looks like a name on the Hugging Face hub, null otherwise: layerwise
 * reads folders alone.
 */
export async function hubNameError(folder: string): Promise<UserError | null> {
  const typed = path.relative(process.cwd(), folder).replaceAll(path.sep, "/");
  const isName = HUB_NAME.test(typed) && !typed.startsWith("..") && !(await isFolder(path.dirname(folder)));
  if (!isName && !ADDRESS.test(typed)) return null;
  const name = typed.replace(ADDRESS, "").split("/").slice(-2).join("/");
  return new UserError(
    "HUB_NAME",
    `${typed}: expected a folder, found what looks like a name on the Hugging Face hub`,
    `download it first: hf download ${name} --local-dir models/${path.basename(name)}`,
  );
}
