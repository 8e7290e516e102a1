import type { Argv } from "yargs";
import type { OpenModelOptions } from "../decoding/open-model.ts";
import { BACKEND_CHOICES, type BackendChoice } from "../runtime/backend-names.ts";

const KV_TYPES = ["f16", "f32"] as const;

/** What commands that compute accept about how to compute. */
export interface ExecutionArguments {
  backend: BackendChoice;
  threads: number | undefined;
  resident: boolean | undefined;
  kv: (typeof KV_TYPES)[number] | undefined;
}

/** Adds `--backend`, `--threads`, `--resident` and `--kv`. */
export function executionOptions<T>(yargs: Argv<T>): Argv<T & ExecutionArguments> {
  return yargs
    .option("backend", {
      choices: BACKEND_CHOICES,
      default: "auto" as const,
      describe: "TensorFlow.js backend; auto takes tensorflow, else wasm, else cpu",
    })
    .option("threads", { type: "number", describe: "Threads to compute with; default: all cores" })
    .option("resident", {
      type: "boolean",
      describe: "Keep every matrix expanded in memory: faster, larger. Default: only for checkpoints",
    })
    .option("kv", {
      choices: KV_TYPES,
      describe: "How keys and values are kept; default: as planned, f32 for checkpoints",
    })
    .group(["backend", "threads", "resident", "kv"], "Execution:");
}

/** The arguments as the library takes them. */
export function openOptions(args: ExecutionArguments): OpenModelOptions {
  return { backend: args.backend, threads: args.threads, resident: args.resident, kvType: args.kv };
}
