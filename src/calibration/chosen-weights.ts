import type { WeightSource } from "../model/weight-source.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";

/**
 * One executor for weights that change from block to block: it reads a block from whichever source was chosen last. It
 * must be streamed, so that it reads each block when it is run, and each block must be run by one source only.
 */
export class ChosenWeights {
  private readonly createExecutor: ExecutorFactory;
  private current: WeightSource | null = null;
  private executor: AnyExecutor | null = null;

  constructor(createExecutor: ExecutorFactory) {
    this.createExecutor = createExecutor;
  }

  /** The executor, with `source` chosen; a new one where the sources' specs differ. */
  async executorOf(source: WeightSource): Promise<AnyExecutor> {
    this.current = source;
    if (this.executor?.spec === source.spec) return this.executor;
    await this.close();
    const executor = await this.createExecutor(this.view(source));
    if (executor.info.residency !== "streamed") {
      await executor.dispose();
      throw new Error(`statistics: expected a streamed executor, found ${executor.info.residency}`);
    }
    this.executor = executor;
    return executor;
  }

  async close(): Promise<void> {
    await this.executor?.dispose();
    this.executor = null;
  }

  private view({ spec, label }: WeightSource): WeightSource {
    const chosen = (): WeightSource => {
      if (!this.current) throw new Error("statistics: no weights are chosen");
      return this.current;
    };
    return {
      spec,
      label,
      readMatrix: (id) => chosen().readMatrix(id),
      readRows: (id, from, to) => chosen().readRows(id, from, to),
      readVector: (id) => chosen().readVector(id),
      close: async () => {},
    };
  }
}
