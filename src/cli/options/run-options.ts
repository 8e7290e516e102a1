import path from "node:path";
import type { Argv } from "yargs";
import { UserError } from "../../errors.ts";
import { KV_TYPES, type KvType } from "../../model/kv-type.ts";
import type { RunOptions } from "../../pipeline/run-options.ts";
import { BACKEND_CHOICES, type BackendChoice } from "../../runtime/backend-names.ts";
import { EXECUTOR_CHOICES, type ExecutorChoice } from "../../runtime/executors.ts";

/** What commands on a run folder accept; what is not given is as the folder remembers it, or the default. */
export interface RunArguments {
  budget: string | undefined;
  context: number | undefined;
  recipe: string | undefined;
  calibration: string[] | undefined;
  "calibration-tokens": number | undefined;
  kv: KvType | undefined;
  resident: boolean | undefined;
  "budget-covers": "model" | "process" | undefined;
  executor: ExecutorChoice | undefined;
  backend: BackendChoice | undefined;
  threads: number | undefined;
  adapter: string | undefined;
}

/** Adds the options of {@link RunArguments}. */
export function runOptions<T>(yargs: Argv<T>): Argv<T & RunArguments> {
  return yargs
    .option("budget", { type: "string", describe: "Size expression such as '160 MiB', auto, or a device profile" })
    .option("context", { type: "number", describe: "Tokens that the KV cache must hold" })
    .option("recipe", { type: "string", describe: "Recipe file, or the name of one that ships (lsaq)" })
    .option("adapter", { type: "string", describe: "Folder of a PEFT adapter (LoRA) that is merged into the weights" })
    .option("calibration", {
      type: "string",
      array: true,
      describe: "Text files (.txt, .jsonl) in place of the recipe's",
    })
    .option("calibration-tokens", {
      type: "number",
      describe: "Tokens of all --calibration files; default: the recipe's",
    })
    .option("kv", { choices: KV_TYPES, describe: "How keys and values are kept; default: the recipe's" })
    .option("resident", { type: "boolean", describe: "Plan for every matrix expanded in memory: faster, larger" })
    .option("budget-covers", {
      choices: ["model", "process"] as const,
      describe: "model (default): without the runtime's base; process: with it",
    })
    .option("executor", { choices: EXECUTOR_CHOICES, describe: "Executor that scores; default: auto" })
    .option("backend", { choices: BACKEND_CHOICES, describe: "tfjs: the backend that scores; default: auto" })
    .option("threads", { type: "number", describe: "Threads to compute with; default: the physical cores" })
    .group(["budget", "context", "kv", "resident", "budget-covers"], "Budget:")
    .group(["calibration", "calibration-tokens"], "Calibration:")
    .group(["executor", "backend", "threads"], "Execution:");
}

/** The same as yargs hands them over. */
export interface RunChoice {
  readonly budget?: string | undefined;
  readonly context?: number | undefined;
  readonly recipe?: string | undefined;
  readonly calibration?: readonly string[] | undefined;
  readonly calibrationTokens?: number | undefined;
  readonly kv?: KvType | undefined;
  readonly resident?: boolean | undefined;
  readonly budgetCovers?: "model" | "process" | undefined;
  readonly executor?: ExecutorChoice | undefined;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  readonly adapter?: string | undefined;
}

/** What is thrown where a command needs a budget; `others` are further ways to name one. */
export function budgetMissing(expected: string, others: string): UserError {
  return new UserError("BUDGET_MISSING", `budget: expected ${expected}`, `for example --budget '160 MiB', ${others}`);
}

/** Options of a run on a checkpoint: the choice, else what the run folder remembers (`saved`), else defaults. */
export async function mergeRunOptions(
  checkpoint: string,
  choice: RunChoice,
  saved: RunOptions | null,
): Promise<RunOptions> {
  const budget = choice.budget ?? saved?.budget;
  if (budget === undefined) throw budgetMissing("--budget, found none", "or auto");
  const { recipe, calibration, adapter } = await mergeRecipe(choice, saved);
  return {
    checkpoint: path.resolve(checkpoint),
    budget,
    contextTokens: choice.context ?? saved?.contextTokens ?? null,
    kvType: choice.kv ?? saved?.kvType ?? null,
    residency: residencyOf(choice.resident) ?? saved?.residency ?? null,
    budgetCovers: choice.budgetCovers ?? saved?.budgetCovers ?? null,
    executor: choice.executor ?? saved?.executor ?? "auto",
    backend: choice.backend ?? saved?.backend ?? "auto",
    threads: choice.threads ?? saved?.threads,
    recipe,
    adapter,
    calibration,
  };
}

async function mergeRecipe(
  choice: RunChoice,
  saved: RunOptions | null,
): Promise<Pick<RunOptions, "recipe" | "adapter" | "calibration">> {
  const { adapterFolder, calibrationFiles, loadRecipe } = await import("../../pipeline/recipe.ts");
  const loaded = choice.recipe !== undefined || saved === null ? await loadRecipe(choice.recipe ?? "lsaq") : null;
  const recipe = loaded?.recipe ?? saved?.recipe;
  const sources = loaded ? calibrationFiles(loaded) : saved?.calibration;
  if (!recipe || !sources) throw new Error("neither a recipe nor a run folder");
  const named = loaded ? adapterFolder(loaded) : saved?.adapter;
  const adapter = choice.adapter === undefined ? named : path.resolve(choice.adapter);
  const files = choice.calibration;
  const tokens = choice.calibrationTokens;
  if (!files) {
    if (tokens === undefined) return { recipe, adapter, calibration: sources };
    throw new UserError("USAGE", "calibration-tokens: expected --calibration files beside it, found none");
  }
  const total = tokens ?? sources.reduce((sum, source) => sum + source.tokens, 0);
  const each = Math.ceil(total / files.length);
  return { recipe, adapter, calibration: files.map((file) => ({ path: path.resolve(file), tokens: each })) };
}

function residencyOf(resident: boolean | undefined): RunOptions["residency"] {
  if (resident === undefined) return null;
  return resident ? "resident" : "packed";
}
