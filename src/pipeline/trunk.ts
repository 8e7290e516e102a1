import { trunkSha256 } from "../artifact/exits/add.ts";
import { type Artifact, openArtifact } from "../artifact/reader.ts";
import { chooseExecutor, createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { EXECUTORS, type ExecutorKind } from "../runtime/executors.ts";

/** A packed model that exits are trained on: opened as it will run, when it is needed. */
export interface Trunk {
  /** Names it: the hash of its manifest without exits. */
  readonly sha256: string;
  /** The executor that will run it. */
  readonly executor: ExecutorKind;
  /** Opens it for the time of a piece of work. */
  use<T>(work: (executor: AnyExecutor, artifact: Artifact) => Promise<T>): Promise<T>;
}

/**
 * The trunk of an artifact. A backend by name is the one that trains: it chooses TensorFlow.js for the model only where
 * that runs it anyway. Throws UserError where there is no artifact, or no such executor.
 */
export async function openTrunk(
  folder: string,
  options: Pick<ExecutorOptions, "executor" | "backend" | "threads">,
): Promise<Trunk> {
  const { kind: executor } = await chooseExecutor({ executor: options.executor });
  const backend = EXECUTORS[executor].traits.hasBackends ? options.backend : "auto";
  return {
    sha256: await trunkSha256(folder),
    executor,
    async use(work) {
      const artifact = await openArtifact(folder);
      try {
        const { residency } = artifact.memory;
        const running = await createExecutor(artifact, { executor, backend, threads: options.threads, residency });
        try {
          return await work(running, artifact);
        } finally {
          await running.dispose();
        }
      } finally {
        await artifact.close();
      }
    },
  };
}
