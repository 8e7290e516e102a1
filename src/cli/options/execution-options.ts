import type { Argv } from "yargs";
import { WEIGHT_PLACES, type WeightPlace } from "../../decoding/memory-limit.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { OpenModelOptions } from "../../decoding/open-weights.ts";
import { KV_TYPES, type KvType } from "../../model/kv-type.ts";
import { BACKEND_CHOICES, type BackendChoice } from "../../runtime/backend-names.ts";
import { ACTIVATION_TYPES, type ActivationType } from "../../runtime/executor-info.ts";
import { EXECUTOR_CHOICES, EXECUTOR_KINDS, EXECUTORS, type ExecutorChoice } from "../../runtime/executors.ts";
import { collectGarbage } from "../process-memory.ts";
import type { Terminal } from "../terminal.ts";

/** Which executor computes. */
export interface ExecutorArguments {
  executor: ExecutorChoice;
  isa: string | undefined;
  backend: BackendChoice;
  threads: number | undefined;
}

/** What commands that compute accept about how to compute. */
export interface ExecutionArguments extends ExecutorArguments {
  activations: ActivationType | undefined;
  resident: boolean | undefined;
  residency: WeightPlace | undefined;
  "memory-limit": string | undefined;
  "prompt-chunk": number | undefined;
  kv: KvType | undefined;
  adapter: string | undefined;
}

/** Adds `--executor`, `--isa`, `--backend` and `--threads`. */
export function executorOptions<T>(yargs: Argv<T>): Argv<T & ExecutorArguments> {
  return yargs
    .option("executor", {
      choices: EXECUTOR_CHOICES,
      default: "auto" as const,
      describe: executorsText(),
    })
    .option("isa", {
      type: "string",
      describe: "native: instruction set, as layerwise inspect lists them; default: the fastest",
    })
    .option("backend", {
      choices: BACKEND_CHOICES,
      default: "auto" as const,
      describe: "tfjs: its backend; auto takes tensorflow, else wasm, else cpu. One by name also chooses tfjs",
    })
    .option("threads", { type: "number", describe: "Threads to compute with; default: the physical cores" })
    .group(["executor", "isa", "backend", "threads"], "Execution:");
}

/** What the kinds are, and which of them `auto` takes. */
function executorsText(): string {
  const kinds = EXECUTOR_KINDS.map((kind) => `${kind}: ${EXECUTORS[kind].what}`);
  const taken = EXECUTOR_KINDS.flatMap((kind) => {
    const { runsWhere } = EXECUTORS[kind];
    return runsWhere === null ? [] : [`${kind} where ${runsWhere}`];
  });
  return `${kinds.join("; ")}; auto takes ${taken.join(", else ")}`;
}

/** Adds the options of `executorOptions`, `--activations`, `--resident`, `--kv` and `--adapter`. */
export function executionOptions<T>(yargs: Argv<T>): Argv<T & ExecutionArguments> {
  return executorOptions(yargs)
    .option("activations", {
      choices: ACTIVATION_TYPES,
      describe: "native: type of activations in products with integer weights; default: int8",
    })
    .option("resident", {
      type: "boolean",
      describe: "Keep every matrix in memory, on tfjs expanded: faster, larger. Default: only for checkpoints",
    })
    .option("residency", {
      choices: WEIGHT_PLACES,
      describe:
        "Where an artifact's weights are: in mapped files, in memory, or (native) streamed from disk as far as they " +
        "do not fit. Default: mapped, streamed where --memory-limit asks for it",
    })
    .option("memory-limit", {
      type: "string",
      describe: "Size that the whole process may take, files that the system keeps in memory for it included",
    })
    .option("prompt-chunk", {
      type: "number",
      describe:
        "Tokens of a prompt that pass through the blocks at a time; default: 128, 512 where weights are streamed",
    })
    .option("kv", {
      choices: KV_TYPES,
      describe: "How keys and values are kept; default: as planned, f32 for checkpoints",
    })
    .option("adapter", {
      type: "string",
      describe: "Folder of a PEFT adapter (LoRA) that is added beside the weights",
    })
    .group(["activations", "resident", "residency", "memory-limit", "prompt-chunk", "kv", "adapter"], "Execution:");
}

/** The arguments as the library takes them. */
export async function openOptions(args: ExecutionArguments): Promise<OpenModelOptions> {
  const { executor, isa, backend, threads, activations, resident, residency, kv, adapter } = args;
  const limit = args["memory-limit"];
  const memoryLimitBytes = limit === undefined ? undefined : await sizeOf(limit);
  const where = { weights: residency, memoryLimitBytes, promptChunk: args["prompt-chunk"], kvType: kv };
  return { executor, isa, backend, threads, activations, resident, ...where, adapter };
}

/** Bytes of a size as budgets have them. */
async function sizeOf(text: string): Promise<number> {
  const { resolveBudget } = await import("../../planning/budget/budget.ts");
  return (await resolveBudget(text)).bytes;
}

/** Opens a model, says what of its files has no effect, and leaves nothing of the opening in memory. */
export async function openToRun(target: string, args: ExecutionArguments, terminal: Terminal): Promise<OpenModel> {
  const { openModel } = await import("../../decoding/open-model.ts");
  const model = await openModel(target, await openOptions(args));
  for (const remark of model.tokenizer.remarks) terminal.note(`layerwise: ${remark}`);
  collectGarbage();
  return model;
}
