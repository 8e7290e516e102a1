import type { OpenModel } from "../decoding/open-model.ts";
import { type ExecutionArguments, openOptions } from "./options/execution-options.ts";
import { collectGarbage } from "./process-memory.ts";

/** Opens a model for generating, and leaves nothing of the opening in memory. */
export async function openToRun(target: string, args: ExecutionArguments): Promise<OpenModel> {
  const { openModel } = await import("../decoding/open-model.ts");
  const model = await openModel(target, openOptions(args));
  collectGarbage();
  return model;
}
