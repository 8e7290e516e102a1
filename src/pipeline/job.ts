import path from "node:path";
import type { z } from "zod";
import { assertUnchanged, type FileMark, keyOfMarks } from "../formats/file-mark.ts";
import type { Maths } from "../maths/maths.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { Budget } from "../planning/budget/budget.ts";
import type { WorkOptions } from "../progress.ts";
import { createExecutor } from "../runtime/create-executor.ts";
import type { ExecutorFactory } from "../runtime/executor.ts";
import type { ExecutorKind } from "../runtime/executors.ts";
import type { RunRequest } from "./plan-request.ts";
import type { Recipe } from "./recipe.ts";
import type { RunFolder, StepWork } from "./run-folder.ts";
import type { RunOptions } from "./run-options.ts";
import { hashOf } from "./step-key.ts";

/**
 * One step of a job: what its result depends on, and how it is made. The result is plain JSON, kept as `<name>.json`.
 */
export interface Step<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  /** One for each of the devices that share a run folder (`plan-board`). */
  readonly perDevice?: true;
  /** Whether a recipe has this step; absent: every one has. */
  wanted?(recipe: Recipe): boolean;
  /** What the result depends on, beside the steps that are got here: their names for their results go into the key. */
  inputs(job: Job): Promise<Readonly<Record<string, unknown>>>;
  /** What is got here must follow from what `inputs` says. Throws UserError, or Interrupted when stopped. */
  compute(job: Job, to: StepWork<T>): Promise<T>;
  /** Null where what a saved result refers to (files beside it) is still there, else why not. */
  check?(job: Job, done: T): Promise<string | null>;
  /**
   * What names the result in the keys of others; absent: the step's key. A result that names its contents keeps those
   * that use it.
   */
  id?(value: T): string;
}

/** A step's result. */
export interface Done<T> {
  readonly value: T;
  /** Names it in the keys of steps that depend on it. */
  readonly id: string;
}

/** Where a job begins that has a checkpoint to compress. */
export interface Origin {
  /** What steps work on is made of this. */
  readonly checkpoint: Checkpoint;
  readonly request: RunRequest;
  readonly budget: Budget;
  /** The executor that runs the checkpoint. */
  readonly executor: ExecutorKind;
  /** Packs; the bytes do not depend on which. */
  readonly maths: Maths;
}

/** Of a run's options what every job has. */
export type JobOptions = Pick<RunOptions, "recipe" | "calibration" | "executor" | "backend" | "threads"> & WorkOptions;

/** What a job is about. */
export interface JobFacts {
  /** Where its steps are kept. */
  readonly run: RunFolder;
  readonly options: JobOptions;
  readonly spec: DecoderSpec;
  readonly tokenizer: Tokenizer;
  /** One of several devices that share the run folder. */
  readonly device?: string | undefined;
  /** Null: it begins at an artifact. */
  readonly origin: Origin | null;
  /** The artifact that it makes, or begins at; default: `artifact` in the run folder. */
  readonly artifactFolder?: string | undefined;
  /** Exits also where the model with them takes more than was planned. */
  readonly overBudget?: boolean | undefined;
}

/** What has been got once, and the names of the steps that it was made from. */
interface Kept<T> {
  readonly of: object;
  readonly value: T;
  readonly uses: ReadonlyMap<string, string>;
}

/**
 * One run of the offline pipeline. Steps, and whatever several of them need, are got from it: each is made once, from
 * the run folder where its inputs have not changed. Nobody says in which order: a step gets what it needs.
 */
export class Job {
  readonly facts: JobFacts;
  readonly options: JobOptions;
  readonly recipe: Recipe;
  /** The run folder. */
  readonly folder: string;
  readonly artifactFolder: string;
  private readonly kept: Map<object, Promise<Kept<unknown>>>;
  /** Names of the results that were got through this handle. */
  private readonly uses: Map<string, string>;
  /** Steps that are being got through it, outermost first. */
  private readonly within: readonly string[];

  constructor(facts: JobFacts, outer?: { readonly kept: Job["kept"]; readonly within: readonly string[] }) {
    this.facts = facts;
    this.options = facts.options;
    this.recipe = facts.options.recipe;
    this.folder = facts.run.folder;
    this.artifactFolder = facts.artifactFolder ?? path.join(this.folder, this.named("artifact"));
    this.kept = outer?.kept ?? new Map();
    this.uses = new Map();
    this.within = outer?.within ?? [];
  }

  /** What a job with a checkpoint has. Throws a plain Error in one that begins at an artifact. */
  get origin(): Origin {
    if (!this.facts.origin) throw new Error("this job begins at an artifact: it has no checkpoint");
    return this.facts.origin;
  }

  /** Executors that read a block at a time and compute in f32, as the options say. */
  get executors(): ExecutorFactory {
    const { executor, backend, threads } = this.options;
    return (source) =>
      createExecutor(source, { executor, backend, threads, residency: "streamed", activations: "f32" });
  }

  /**
   * Throws UserError `SOURCE_CHANGED` where the checkpoint's weights changed since they were opened: what was read then
   * may be of two models, and must not be kept.
   */
  async assertSource(): Promise<void> {
    await assertUnchanged(this.sources);
  }

  /** What a step, or a folder that goes with it, is called in the run folder. */
  named(name: string): string {
    return this.facts.device === undefined ? name : `${name}-${this.facts.device}`;
  }

  /** A step's result: what the run folder has where its inputs are the same, else a new one. */
  async get<T>(step: Step<T>): Promise<Done<T>> {
    const done = await this.done(step);
    if (done) return this.using(step.name, done.id, done);
    throw new Error(`${step.name}: expected a result, found that this job has none`);
  }

  /** The same; null where the recipe has no such step, or the job none. */
  async ask<T>(step: Step<T>): Promise<Done<T> | null> {
    const done = this.wants(step) ? await this.done(step) : null;
    return done && this.using(step.name, done.id, done);
  }

  /**
   * As `ask`, where a part of the result is all that counts: the key then has the part's name in it, and not the
   * result's.
   */
  async askPart<T, P>(step: Step<T>, name: string, partOf: (value: T) => P): Promise<P | null> {
    const done = this.wants(step) ? await this.done(step) : null;
    const part = done && partOf(done.value);
    return part === null ? null : this.using(`${step.name}.${name}`, hashOf(part), part);
  }

  /** The value of a step that this job has got already; null where it has not. */
  async got<T>(step: Step<T>): Promise<T | null> {
    const kept = await this.kept.get(step);
    return kept && isOf<Done<T> | null>(step, kept) ? (kept.value?.value ?? null) : null;
  }

  /** What several steps need, made once: the same function gives the same value. What it gets, its callers have got. */
  async once<T>(make: (job: Job) => Promise<T>): Promise<T> {
    const { value, uses } = await this.recall(make, async () => {
      const job = this.handle(this.within);
      return { value: await make(job), uses: job.uses };
    });
    for (const [name, id] of uses) this.uses.set(name, id);
    return value;
  }

  /** Puts a result in the place of a step, which is then never computed; null: there is none. */
  give<T>(step: Step<T>, value: T | null): void {
    const done = value === null ? null : { value, id: step.id?.(value) ?? hashOf(value) };
    this.kept.set(step, Promise.resolve({ of: step, value: done, uses: new Map() }));
  }

  private get sources(): readonly FileMark[] {
    return this.facts.origin?.checkpoint.files ?? [];
  }

  private wants(step: Step<unknown>): boolean {
    return step.wanted?.(this.recipe) ?? true;
  }

  private using<T>(name: string, id: string, value: T): T {
    this.uses.set(name, id);
    return value;
  }

  /** The step's result, noted nowhere. Throws a plain Error where it waits for itself. */
  private async done<T>(step: Step<T>): Promise<Done<T> | null> {
    if (this.within.includes(step.name)) {
      throw new Error(`step ${step.name} needs itself: ${[...this.within, step.name].join(" > ")}`);
    }
    const { value } = await this.recall<Done<T> | null>(step, async () => ({
      value: await this.run(step),
      uses: new Map(),
    }));
    return value;
  }

  private async run<T>(step: Step<T>): Promise<Done<T>> {
    const within = [...this.within, step.name];
    const asking = this.handle(within);
    const own = await step.inputs(asking);
    const inputs = { ...own, steps: Object.fromEntries(asking.uses) };
    const job = this.handle(within);
    const { value, key } = await this.facts.run.step(
      step.perDevice ? this.named(step.name) : step.name,
      step.schema,
      inputs,
      async (to) => {
        const made = await step.compute(job, to);
        await this.assertSource();
        return made;
      },
      { partial: keyOfMarks(this.sources), check: async (saved) => (await step.check?.(job, saved)) ?? null },
    );
    return { value, id: step.id?.(value) ?? key };
  }

  /** The same job, which notes what is got through it. */
  private handle(within: readonly string[]): Job {
    return new Job(this.facts, { kept: this.kept, within });
  }

  private async recall<T>(of: object, make: () => Promise<Omit<Kept<T>, "of">>): Promise<Kept<T>> {
    const kept = this.kept.get(of) ?? make().then((made) => ({ of, ...made }));
    this.kept.set(of, kept);
    const found = await kept;
    if (isOf<T>(of, found)) return found;
    throw new Error("something else was kept in this place");
  }
}

/** What is kept for a step, or a function, is that one's. */
function isOf<T>(of: object, kept: Kept<unknown>): kept is Kept<T> {
  return kept.of === of;
}
