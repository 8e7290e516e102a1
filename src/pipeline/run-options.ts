import path from "node:path";
import { z } from "zod";
import { nullOn, UserError } from "../errors.ts";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { hubNameError } from "../formats/hub-name.ts";
import { KvType } from "../model/kv-type.ts";
import { BACKEND_CHOICES } from "../runtime/backend-names.ts";
import { EXECUTOR_CHOICES } from "../runtime/executors.ts";
import { Recipe } from "./recipe.ts";
import { readableJson } from "./step-key.ts";

/** A count of threads as the options file has it, null or absent where none was asked for; in memory it is absent. */
const Threads = z
  .number()
  .int()
  .positive()
  .nullable()
  .transform((threads) => threads ?? undefined)
  .optional();

/** What a run folder remembers of how it was made, so that more can be run on it later. Paths are absolute. */
export const RunOptions = z.strictObject({
  checkpoint: z.string(),
  /** Size expression, `auto`, or a device profile. */
  budget: z.string(),
  /** Null: the device's or the recipe's. */
  contextTokens: z.number().int().positive().nullable(),
  kvType: KvType.nullable(),
  residency: z.enum(["packed", "resident"]).nullable(),
  budgetCovers: z.enum(["model", "process"]).nullable(),
  executor: z.enum(EXECUTOR_CHOICES).default("auto"),
  backend: z.enum(BACKEND_CHOICES),
  threads: Threads,
  recipe: Recipe,
  /** Folder of a PEFT adapter that is merged into the checkpoint; absent: none. */
  adapter: z.string().optional(),
  /** Calibration files that replace the recipe's, or the recipe's as absolute paths. */
  calibration: z.array(z.strictObject({ path: z.string(), tokens: z.number().int().positive() })),
});
export type RunOptions = z.infer<typeof RunOptions>;

const OPTIONS_FILE = "options.json";

/** Keeps the options in the run folder. */
export async function rememberOptions(out: string, options: RunOptions): Promise<void> {
  await writeFileAtomic(path.join(out, OPTIONS_FILE), readableJson(RunOptions.strip().parse(options)));
}

/** The options that a run folder was made with. Throws UserError `NOT_A_RUN_FOLDER` where there are none. */
export async function recallOptions(out: string): Promise<RunOptions> {
  const options = await savedOptions(out);
  if (options) return options;
  const hubName = await hubNameError(out);
  if (hubName) throw hubName;
  throw new UserError(
    "NOT_A_RUN_FOLDER",
    `${out}: expected a run folder with ${OPTIONS_FILE}, found none`,
    "start one with layerwise compress or layerwise calibrate CHECKPOINT --out FOLDER",
  );
}

/** The same; null where the folder is no run folder, or no folder: who opens it as something else says what it is. */
export function savedOptions(folder: string): Promise<RunOptions | null> {
  const read = () => readJsonFile(path.join(folder, OPTIONS_FILE), RunOptions);
  return nullOn("NOT_A_FOLDER", () => nullOn("FILE_NOT_FOUND", read));
}
