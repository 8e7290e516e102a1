import type { WeightSource } from "../model/weight-source.ts";
import type { BackendChoice } from "./backend-names.ts";
import type { AnyExecutor } from "./executor.ts";
import type { ActivationType, ExecutorInfo, Residency } from "./executor-info.ts";

/** What holds of every executor of a kind. Code asks for these, never for a name. */
export interface ExecutorTraits {
  /**
   * A row's numbers are bit by bit the same alone or with others, in any chunking: so drafts that one pass verifies
   * leave a greedy text as it is.
   */
  readonly rowExact: boolean;
  /** It finds the most likely id itself, so that asking for answers is cheaper than giving out logits. */
  readonly answersInEngine: boolean;
  /** It computes off the main thread: pending events (signals, writes) run meanwhile. */
  readonly yields: boolean;
  /** Its maths are the addon's: those of the offline stages are too, where it is asked for by name. */
  readonly nativeMaths: boolean;
  /** It reads packed blocks from disk while it computes. */
  readonly streams: boolean;
  /** It runs on one of the backends of backend-names.ts. */
  readonly hasBackends: boolean;
}

/** How an executor is to run; each kind reads what concerns it. What is not given is chosen. */
export interface ExecutionOptions {
  /** native: the instruction set. */
  readonly isa?: string | undefined;
  readonly threads?: number | undefined;
  /** native: activations in products with integer codecs. */
  readonly activations?: ActivationType | undefined;
  /** tfjs: the backend; one by name also chooses tfjs. */
  readonly backend?: BackendChoice | undefined;
  readonly residency?: Residency | undefined;
  /** native, `streamed`: what blocks and output head of an artifact may take in memory; default: the least. */
  readonly weightRoomBytes?: number | undefined;
}

/** Whether a kind runs on this machine. */
type Probe =
  | { readonly works: true }
  /** `found`: what stands in its place ("no addon"), `reason`: why, `hint`: what to do, for people. */
  | { readonly works: false; readonly found: string; readonly reason: string; readonly hint: string };

/** What of an executor is known without a model. */
export interface StartedExecutor extends Pick<ExecutorInfo, "backend" | "isa" | "reason" | "threads"> {
  /** Of what computes: the addon, or TensorFlow.js and what is below it. */
  readonly version: string;
}

/** A kind of executor, as the table (executors.ts) holds it. Only what is called loads the kind's own modules. */
export interface ExecutorDeclaration {
  readonly traits: ExecutorTraits;
  /** What it is, and where it runs (null: everywhere), for people: "compiled kernels", "its addon loads". */
  readonly what: string;
  readonly runsWhere: string | null;
  /** An option among these that only this kind has, for people; null: none was given. It chooses the kind. */
  ownOption(options: ExecutionOptions): string | null;
  /** Says whether it runs here. Starts nothing. */
  probe(): Promise<Probe>;
  /** Why it was chosen, for people; empty where it has nothing to say. `byName`: it was asked for. */
  whyChosen(byName: boolean): string;
  /** Makes one over any weight source, which stays the caller's to close. `reason`: why this kind. */
  create(source: WeightSource, options: ExecutionOptions, reason: string): Promise<AnyExecutor>;
  /** Starts what `create` would start, says what it is and stops it. */
  start(options: ExecutionOptions, reason: string): Promise<StartedExecutor>;
  /** Resident bytes of a process that runs a model with it, beside the model; `backend`: of those that it has. */
  baseBytes(backend: string | null): number;
}
