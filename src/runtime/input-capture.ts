import type { DecoderSpec } from "../model/decoder-spec.ts";
import { idOf } from "../model/matrix-id.ts";
import {
  type MatrixInputKind,
  type MatrixInputSpec,
  matrixInputsOf,
  type SkippedParts,
} from "../model/matrix-inputs.ts";

/** The rows that some matrices of a block are multiplied with, in f32, before any rounding of activations. */
interface MatrixInput {
  readonly block: number;
  /** Ids of the matrices that take it, in execution order. */
  readonly matrices: readonly string[];
  readonly rows: number;
  readonly cols: number;
  /** [rows, cols], the rows of the pass in order. */
  readonly data: Float32Array;
}

/**
 * Sees each distinct input of a block's matrices once; `data` is its to read until it returns, or its promise resolves.
 */
export type InputObserver = (input: MatrixInput) => void | Promise<void>;

/** Arrays that the inputs of one block's matrices are written to during a pass. */
export class BlockInputs {
  /** [rows, cols] of every distinct input that the pass has. */
  readonly arrays: ReadonlyMap<MatrixInputKind, Float32Array>;
  private readonly block: number;
  private readonly rows: number;
  private readonly specs: readonly MatrixInputSpec[];
  private readonly filled = new Map<MatrixInputKind, number>();

  constructor(
    block: number,
    rows: number,
    specs: readonly MatrixInputSpec[],
    arrays: ReadonlyMap<MatrixInputKind, Float32Array>,
  ) {
    this.block = block;
    this.rows = rows;
    this.specs = specs;
    this.arrays = arrays;
  }

  /** Appends rows of an input; one that is no input of its own in this pass is left out. */
  append(kind: MatrixInputKind, data: Float32Array): void {
    const array = this.arrays.get(kind);
    if (!array) return;
    const from = this.filled.get(kind) ?? 0;
    array.set(data, from);
    this.filled.set(kind, from + data.length);
  }

  /** Shows all inputs to the observer, one after the other. */
  async show(observer: InputObserver): Promise<void> {
    const { block, rows } = this;
    for (const { kind, cols, roles } of this.specs) {
      const matrices = roles.map((role) => idOf(block, role));
      const data = this.arrays.get(kind);
      if (data) await observer({ block, matrices, rows, cols, data });
    }
  }
}

/**
 * The memory of captured inputs: kept from pass to pass, so that a descent does not fill the heap with arrays of one
 * use.
 */
export class InputBuffers {
  private readonly spec: DecoderSpec;
  private readonly free = new Map<MatrixInputKind, Float32Array>();

  constructor(spec: DecoderSpec) {
    this.spec = spec;
  }

  /** Runs `pass` with arrays for the inputs of a block and then shows them to the observer. */
  async capture(
    at: { readonly block: number; readonly rows: number; readonly skipped: SkippedParts },
    observer: InputObserver,
    pass: (inputs: BlockInputs) => Promise<void>,
  ): Promise<void> {
    const { block, rows, skipped } = at;
    const specs = matrixInputsOf(this.spec.blocks[block], skipped);
    const taken = specs.map(({ kind, cols }): [MatrixInputKind, Float32Array, number] => {
      const length = rows * cols;
      return [kind, this.take(kind, length), length];
    });
    const arrays = new Map(taken.map(([kind, array, length]) => [kind, array.subarray(0, length)]));
    const inputs = new BlockInputs(block, rows, specs, arrays);
    try {
      await pass(inputs);
      await inputs.show(observer);
    } finally {
      for (const [kind, array] of taken) this.free.set(kind, array);
    }
  }

  /** An array of at least that length which nobody else uses. */
  private take(kind: MatrixInputKind, length: number): Float32Array {
    const kept = this.free.get(kind);
    this.free.delete(kind);
    return kept && kept.length >= length ? kept : new Float32Array(length);
  }
}
