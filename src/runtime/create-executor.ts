import { UserError } from "../errors.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { BackendChoice } from "./backend-names.ts";
import type { AnyExecutor } from "./executor.ts";
import type { ActivationType, ExecutorChoice, ExecutorKind, Residency } from "./executor-info.ts";

/** Which executor to run on, and how. What is not given is chosen: the fastest that works here. */
export interface ExecutorOptions {
  readonly executor?: ExecutorChoice | undefined;
  /** native: the instruction set. */
  readonly isa?: string | undefined;
  readonly threads?: number | undefined;
  /** native: activations in products with integer codecs. */
  readonly activations?: ActivationType | undefined;
  /** tfjs: the backend; one by name also chooses tfjs. */
  readonly backend?: BackendChoice | undefined;
  readonly residency?: Residency | undefined;
}

/** The executor that {@link createExecutor} would make, and why it is this one. */
export interface ChosenExecutor {
  readonly kind: ExecutorKind;
  readonly reason: string;
}

/**
 * Makes an executor over any weight source; only the modules of the one chosen are loaded. The source stays the caller's to close.
 * Throws UserError EXECUTOR, ISA or BACKEND where what was asked for by name does not work here.
 */
export async function createExecutor(source: WeightSource, options: ExecutorOptions = {}): Promise<AnyExecutor> {
  const { isa, threads, activations, backend, residency } = options;
  const { kind, reason } = await chooseExecutor(options);
  if (kind === "native") {
    const { createNativeExecutor } = await import("./native/executor.ts");
    return createNativeExecutor(source, { isa, threads, activations, residency, reason });
  }
  const { createTfjsExecutor } = await import("./tfjs/executor.ts");
  return createTfjsExecutor(source, { backend, threads, residency, because: reason === "" ? undefined : reason });
}

/** Chooses as {@link createExecutor} does, without making anything. */
export async function chooseExecutor(options: ExecutorOptions = {}): Promise<ChosenExecutor> {
  const wanted = askedFor(options);
  if (wanted === "tfjs") return { kind: "tfjs", reason: "" };
  const { loadNative } = await import("../native/load.ts");
  const native = loadNative();
  if (native.addon) {
    const reason = wanted === "native" ? "asked for by name" : "its addon loads here";
    return { kind: "native", reason };
  }
  if (wanted === "auto") return { kind: "tfjs", reason: `native does not load: ${native.reason}` };
  throw new UserError(
    "EXECUTOR",
    `executor: expected native, found no addon: ${native.reason}`,
    "use --executor tfjs, or build it with npm run build:native",
  );
}

/** The executor that the options name; a backend or an instruction set by name says which one is meant. */
function askedFor({ executor = "auto", backend = "auto", isa, activations }: ExecutorOptions): ExecutorChoice {
  const ofTfjs = backend === "auto" ? null : `backend ${backend}`;
  const ofNative = isa !== undefined ? `instruction set ${isa}` : activations === "int8" ? "activations int8" : null;
  if (ofTfjs && executor === "native") throw conflict(ofTfjs, "the tfjs executor has");
  if (ofNative && (executor === "tfjs" || ofTfjs)) throw conflict(ofNative, "the native executor has");
  if (executor !== "auto") return executor;
  return ofNative ? "native" : ofTfjs ? "tfjs" : "auto";
}

function conflict(option: string, owner: string): UserError {
  return new UserError("EXECUTOR", `executor: ${option} was asked for, which only ${owner}`, "leave one of them out");
}
