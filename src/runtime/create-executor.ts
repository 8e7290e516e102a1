import { UserError } from "../errors.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { BACKENDS } from "./backend-names.ts";
import type { AnyExecutor } from "./executor.ts";
import type { ExecutionOptions } from "./executor-declaration.ts";
import type { ExecutorInfo } from "./executor-info.ts";
import { EXECUTOR_KINDS, EXECUTORS, type ExecutorChoice, type ExecutorKind, kindOf } from "./executors.ts";

/** Which executor to run on, and how. What is not given is chosen: the fastest that works here. */
export interface ExecutorOptions extends ExecutionOptions {
  readonly executor?: ExecutorChoice | undefined;
}

/** The executor that {@link createExecutor} would make, and why it is this one. */
export interface ChosenExecutor {
  readonly kind: ExecutorKind;
  readonly reason: string;
}

/**
 * Makes an executor over any weight source; only the modules of the one chosen are loaded. The source stays the
 * caller's to close. Throws UserError EXECUTOR, ISA or BACKEND where what was asked for by name does not work here.
 */
export async function createExecutor(source: WeightSource, options: ExecutorOptions = {}): Promise<AnyExecutor> {
  const { kind, reason } = await chooseExecutor(options);
  return EXECUTORS[kind].create(source, options, reason);
}

/** Chooses as {@link createExecutor} does, without making anything. */
export async function chooseExecutor(options: ExecutorOptions = {}): Promise<ChosenExecutor> {
  const wanted = askedFor(options);
  if (wanted !== "auto") return chosenByName(wanted);
  const missing: string[] = [];
  for (const kind of EXECUTOR_KINDS) {
    const probe = await EXECUTORS[kind].probe();
    const reasons = [...missing, EXECUTORS[kind].whyChosen(false)].filter((reason) => reason !== "");
    if (probe.works) return { kind, reason: reasons.join("; ") };
    missing.push(`${kind} does not load: ${probe.reason}`);
  }
  throw new UserError("EXECUTOR", `executor: expected one that runs here, found none: ${missing.join("; ")}`);
}

/** What makes {@link createExecutor} make another executor like the one that says this of itself. */
export function optionsOf(info: ExecutorInfo): ExecutorOptions {
  const { isa, threads, activations, residency, streamed } = info;
  const backend = BACKENDS.find((name) => name === info.backend);
  return {
    ...{ executor: kindOf(info), isa: isa ?? undefined, backend },
    ...{ threads: threads ?? undefined, activations, residency, weightRoomBytes: streamed?.heldBytes },
  };
}

/**
 * The kind that a plan counts with: what is asked for by name, else the fastest. What this machine has does not matter:
 * the plan is for the device.
 */
export function plannedExecutor(options: Pick<ExecutorOptions, "executor" | "backend">): ExecutorKind {
  const { executor = "auto" } = options;
  if (executor !== "auto") return executor;
  return claimsOf(options).at(-1)?.kind ?? EXECUTOR_KINDS[0];
}

async function chosenByName(kind: ExecutorKind): Promise<ChosenExecutor> {
  const probe = await EXECUTORS[kind].probe();
  if (probe.works) return { kind, reason: EXECUTORS[kind].whyChosen(true) };
  const { found, reason, hint } = probe;
  throw new UserError("EXECUTOR", `executor: expected ${kind}, found ${found}: ${reason}`, hint);
}

/** The executor that the options name; an option that only one kind has says which one is meant. */
function askedFor(options: ExecutorOptions): ExecutorChoice {
  const { executor = "auto" } = options;
  const claims = claimsOf(options);
  const meant = executor === "auto" ? claims.at(-1)?.kind : executor;
  const other = claims.find(({ kind }) => kind !== meant);
  if (!other) return meant ?? "auto";
  throw new UserError(
    "EXECUTOR",
    `executor: ${other.option} was asked for, which only the ${other.kind} executor has`,
    "leave one of them out",
  );
}

/** The kinds whose own options were given. */
function claimsOf(options: ExecutionOptions): { kind: ExecutorKind; option: string }[] {
  return EXECUTOR_KINDS.flatMap((kind) => {
    const option = EXECUTORS[kind].ownOption(options);
    return option === null ? [] : [{ kind, option }];
  });
}
