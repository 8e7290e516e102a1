import type { InputStatistics } from "../../calibration/gram-sum.ts";
import { type BlockStatistics, openStatisticsDescent, type StatisticsDescent } from "../../calibration/statistics.ts";
import type { CodecId } from "../../codecs/index.ts";
import { throwIfAborted } from "../../errors.ts";
import type { Maths } from "../../maths/maths.ts";
import { type DecoderSpec, type MatrixInfo, matricesOf } from "../../model/decoder-spec.ts";
import { type DenseMatrix, denseMatrix, type PackedMatrix, type WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { ExecutorFactory } from "../../runtime/executor.ts";
import type { BlockRefiner } from "../../training/rounding/block-refiner.ts";
import { keepingRows } from "../bands.ts";
import { QUANTIZERS, type QuantizerId } from "../index.ts";
import { packBands } from "../pack-bands.ts";
import { packerOf } from "../packer.ts";
import { prepareInput } from "../quantizer-input.ts";
import type { MatrixLibrary } from "./matrix-library.ts";

export interface BuildLibraryOptions extends WorkOptions {
  readonly source: WeightSource;
  /** Codecs wanted of a matrix. */
  readonly codecsOf: (id: string) => readonly CodecId[];
  readonly quantizer: QuantizerId;
  readonly sequences: readonly Int32Array[];
  /** Makes a streamed executor. */
  readonly createExecutor: ExecutorFactory;
  readonly maths: Maths;
  /**
   * Absent: every matrix by the inputs that the original model gives it, so that any plan can be assembled. Given: the
   * library holds one plan, and a block's inputs are those that the blocks before it, quantized, produce; embedding and
   * untied head come from this library.
   */
  readonly sequentialFrom?: MatrixLibrary | undefined;
  /**
   * With `sequentialFrom`: changes each block once its matrices are packed; the next blocks see it changed. Reports the
   * progress.
   */
  readonly refiner?: BlockRefiner | undefined;
}

/** A matrix at a codec that is still missing. */
interface Wanted {
  readonly matrix: MatrixInfo;
  readonly codec: CodecId;
}

/** A whole block, packed and not kept yet. */
interface PackedBlock {
  readonly descent: StatisticsDescent;
  readonly statistics: BlockStatistics;
  readonly found: readonly Found[];
}

/** A packed matrix that is not kept yet. */
interface Found extends Wanted {
  readonly packed: PackedMatrix;
  readonly hessianError: number;
  readonly seconds: number;
}

/**
 * Packs whatever the library lacks, block by block in one descent of the calibration sequences; what is there already
 * is kept, so that an interrupted build goes on. Statistics of an input, and their factor, serve all matrices that
 * share it at all their codecs.
 */
export async function buildLibrary(library: MatrixLibrary, options: BuildLibraryOptions): Promise<void> {
  const build = new Build(library, options, await (options.refiner ? missingBlocksOf : missingOf)(library, options));
  if (build.missing.length > 0) await build.run();
}

async function missingOf(library: MatrixLibrary, { source, codecsOf }: BuildLibraryOptions): Promise<Wanted[]> {
  const missing: Wanted[] = [];
  for (const matrix of matricesOf(source.spec)) {
    for (const codec of new Set(codecsOf(matrix.id))) {
      if (!(await library.has(matrix.id, codec))) missing.push({ matrix, codec });
    }
  }
  return missing;
}

/** Refined blocks are made whole: where a part of one is missing, all of it is made again, to the same bytes. */
async function missingBlocksOf(library: MatrixLibrary, options: BuildLibraryOptions): Promise<Wanted[]> {
  const missing = await missingOf(library, options);
  const blocks = new Set(missing.map(({ matrix }) => matrix.block));
  for (const block of options.source.spec.blocks.keys()) {
    if (!(await library.hasVectors(block))) blocks.add(block);
  }
  const outer = missing.filter(({ matrix }) => matrix.block === null);
  const inside = matricesOf(options.source.spec).filter(({ block }) => block !== null && blocks.has(block));
  return [
    ...outer,
    ...inside.flatMap((matrix) => options.codecsOf(matrix.id).map((codec): Wanted => ({ matrix, codec }))),
  ];
}

class Build {
  readonly missing: readonly Wanted[];
  private readonly library: MatrixLibrary;
  private readonly options: BuildLibraryOptions;
  private readonly spec: DecoderSpec;
  private done = 0;
  /** The matrix that is being written while the next one is packed. */
  private keeping: Promise<void> = Promise.resolve();

  constructor(library: MatrixLibrary, options: BuildLibraryOptions, missing: readonly Wanted[]) {
    this.library = library;
    this.options = options;
    this.missing = missing;
    this.spec = options.source.spec;
  }

  async run(): Promise<void> {
    const { source, sequences, createExecutor, maths, signal, sequentialFrom } = this.options;
    const plan = sequentialFrom && (await this.copyOuter(sequentialFrom));
    const descent = await openStatisticsDescent({
      ...{ source, embedding: plan, sequences, createExecutor, maths, signal },
      // A plan's own blocks give the next inputs, not the outputs that collecting has seen.
      keepOutputs: plan === undefined,
    });
    try {
      const outer = this.missing.filter(({ matrix }) => matrix.block === null);
      const last = outer.length > 0 && !plan ? this.spec.blocks.length : 1 + lastBlock(this.missing);
      while (descent.at < last) {
        await this.packBlock(descent);
        // A plan's own blocks are read back.
        await this.keeping;
        await descent.advance(plan);
      }
      if (!plan) await this.packOuter(descent, outer);
      await this.keeping;
    } finally {
      // Nothing is written any more once this has ended, however it ends.
      await this.keeping.catch(() => undefined);
      await descent.close();
    }
  }

  /** The model under the one plan that this library is for, embedding and head taken over. */
  private async copyOuter(from: MatrixLibrary): Promise<WeightSource> {
    const { source, codecsOf } = this.options;
    for (const { matrix, codec } of this.missing) {
      if (matrix.block !== null) continue;
      const { hessianError, seconds } = await from.factsOf(matrix.id, codec);
      await this.library.put(matrix.id, await from.matrixAt(matrix.id, codec), { hessianError, seconds });
      this.report(`${matrix.id} at ${codec}`);
    }
    const codecs = new Map(
      matricesOf(source.spec).map(({ id }): [string, CodecId] => [id, onlyCodec(id, codecsOf(id))]),
    );
    return this.library.under(source, codecs);
  }

  /** Everything that is missing of the block that the descent is at. */
  private async packBlock(descent: StatisticsDescent): Promise<void> {
    const wanted = this.missing.filter(({ matrix }) => matrix.block === descent.at);
    if (wanted.length === 0) return;
    const { refiner } = this.options;
    const statistics = await descent.collect();
    const found: Found[] = [];
    for (const input of statistics.inputs) {
      const taking = wanted.filter(({ matrix }) => input.matrices.includes(matrix.id));
      if (refiner) for await (const one of this.packed(taking, input.statistics)) found.push(one);
      else await this.packAll(taking, input.statistics);
    }
    if (refiner) await this.refine(refiner, { descent, statistics, found });
  }

  /** Changes a whole block before it is kept. */
  private async refine(refiner: BlockRefiner, { descent, statistics, found }: PackedBlock): Promise<void> {
    const { source } = this.options;
    const began = performance.now();
    const given = new Map(found.map(({ matrix, packed }) => [matrix.id, packed]));
    const { matrices, vectors } = await refiner.refine(descent.at, given, descent.states);
    const share = (performance.now() - began) / 1000 / found.length;
    // Before the matrices: a block whose matrices are all there has its vectors too.
    await this.library.putVectors(descent.at, vectors);
    for (const one of found) {
      const { id } = one.matrix;
      const packed = matrices.get(id) ?? one.packed;
      const { gram } = statistics.of(id);
      const hessianError =
        packed === one.packed
          ? one.hessianError
          : await this.errorOf(denseMatrix(await source.readMatrix(id)), packed, gram);
      await this.keep({ ...one, packed, hessianError, seconds: one.seconds + share });
    }
  }

  /**
   * Embedding and output head: by the head's inputs where the matrix is multiplied with them, else all columns alike.
   */
  private async packOuter(descent: StatisticsDescent, outer: readonly Wanted[]): Promise<void> {
    if (outer.length === 0) return;
    const head = await descent.collectHead();
    const looked = outer.filter(({ matrix }) => matrix.role === "embedding" && !this.spec.tied);
    await this.packAll(looked, allAlike(head));
    await this.packAll(
      outer.filter((one) => !looked.includes(one)),
      head,
    );
  }

  private async packAll(wanted: readonly Wanted[], statistics: InputStatistics): Promise<void> {
    for await (const one of this.packed(wanted, statistics)) await this.keep(one);
  }

  /** Packs matrices that share their inputs, one after the other. */
  private async *packed(wanted: readonly Wanted[], statistics: InputStatistics): AsyncGenerator<Found> {
    if (wanted.length === 0) return;
    const { gram } = statistics;
    const { quantizer, maths, signal } = this.options;
    const source = keepingRows(this.options.source);
    const label = `inputs of ${wanted[0].matrix.id}`;
    const input = await prepareInput(maths, statistics, QUANTIZERS[quantizer].needs, label);
    const packer = packerOf(maths, quantizer);
    for (const { matrix, codec } of wanted) {
      throwIfAborted(signal);
      const began = performance.now();
      let hessianError = 0;
      const packed = await packBands({
        ...{ source, ...matrix, codec, input, signal, packer },
        onBand: async (band, part) => {
          hessianError += ((await this.errorOf(band, part, gram)) * band.rows) / matrix.rows;
        },
      });
      yield { matrix, codec, packed, hessianError, seconds: (performance.now() - began) / 1000 };
    }
  }

  private errorOf(original: DenseMatrix, packed: PackedMatrix, gram: Float32Array): Promise<number> {
    const { rows, cols, data } = original;
    return this.options.maths.hessianError({ w: data, values: denseMatrix(packed).data, gram, rows, cols });
  }

  /** Begins to write a matrix, once the one before it is there: waiting for the disk takes no processor. */
  private async keep({ matrix, codec, packed, hessianError, seconds }: Found): Promise<void> {
    await this.keeping;
    throwIfAborted(this.options.signal);
    const facts = { hessianError: Math.max(0, hessianError), seconds };
    this.keeping = this.library.put(matrix.id, packed, facts).then(() => this.report(`${matrix.id} at ${codec}`));
    // Whoever waits for it next hears of it; until then a rejection left alone would end the process.
    this.keeping.catch(() => undefined);
  }

  private report(detail: string): void {
    if (this.options.refiner) return;
    this.options.onProgress?.({ stage: "packing", done: ++this.done, total: this.missing.length, detail });
  }
}

function lastBlock(missing: readonly Wanted[]): number {
  return Math.max(-1, ...missing.map(({ matrix }) => matrix.block ?? -1));
}

function onlyCodec(id: string, codecs: readonly CodecId[]): CodecId {
  const [codec, ...others] = codecs;
  if (codec === undefined || others.length > 0) throw new Error(`${id}: a plan has one codec a matrix`);
  return codec;
}

/** Statistics by which every column counts the same and by itself. */
function allAlike({ cols, tokens }: InputStatistics): InputStatistics {
  const gram = new Float32Array(cols * cols);
  for (let i = 0; i < cols; i++) gram[i * cols + i] = 1;
  return { cols, tokens, gram };
}
