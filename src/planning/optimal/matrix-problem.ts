import { CODECS, type CodecId } from "../../codecs/index.ts";
import { type DecoderSpec, headMatrixId } from "../../model/decoder-spec.ts";
import { type ExitShape, gatheredRowBytes } from "../../model/exit-bytes.ts";
import { segmentShapes } from "../../model/packed-layout.ts";
import type { TiedUnits } from "../problem/ties.ts";
import type { Assignment, Unit } from "../problem/units.ts";
import { type Front, type Item, type SegmentShape, segmentFront } from "./front.ts";
import { type LatencySettings, matrixMs } from "./latency-model.ts";
import type { MilpSolver } from "./milp.ts";

/** Matrices that share a codec, with what each of their codecs costs, one entry a candidate. */
export interface MatrixItem extends TiedUnits {
  readonly options: Item;
  /** Milliseconds a token; empty without a bound on them. */
  readonly ms: readonly number[];
}

/** A segment of the weights files. */
export interface MatrixSegment extends SegmentShape {
  readonly items: readonly MatrixItem[];
}

/** A model to which an allocator gives a codec by matrix; the same for all budgets. */
export interface MatrixProblem {
  readonly segments: readonly MatrixSegment[];
  /** The best ways to store each segment, found at the first call. */
  fronts(): readonly Front[];
  /** Bound on the sum of the items' milliseconds; null for none. */
  readonly msPerToken: number | null;
  readonly solver: MilpSolver;
}

/** What a problem is made of; `lossOf` may throw for a codec without a loss. */
export interface MatrixProblemParts {
  readonly spec: DecoderSpec;
  readonly ties: readonly TiedUnits[];
  /** Exits whose heads hold rows of the output head in its codec: what these take counts with it. */
  readonly exits: ExitShape | null;
  lossOf(unit: Unit, codec: CodecId): number;
  readonly latency: LatencySettings | null;
  readonly solver: MilpSolver;
}

/** Prepares what all budgets share. */
export function createMatrixProblem({ spec, ties, exits, lossOf, latency, solver }: MatrixProblemParts): MatrixProblem {
  const rowBytes = ({ id }: Unit, codec: CodecId) =>
    exits && id === headMatrixId(spec) ? gatheredRowBytes(spec, exits, codec) : 0;
  const items = ties.map((tie): MatrixItem => {
    const sum = (of: (unit: Unit) => number) => tie.units.reduce((all, unit) => all + of(unit), 0);
    const options = tie.candidates.map((codec) => ({
      bytes: sum((unit) => CODECS[codec].packedBytes(unit.rows, unit.cols) + rowBytes(unit, codec)),
      loss: sum((unit) => lossOf(unit, codec)),
    }));
    const ms = latency ? tie.candidates.map((codec) => sum((unit) => matrixMs(unit, codec, spec.tied, latency))) : [];
    return { ...tie, options, ms };
  });
  const segments = segmentShapes(spec).map(({ matrices, vectorBytes, align }) => {
    const ids = new Set(matrices.map(({ id }) => id));
    return { fixedBytes: vectorBytes, align, items: items.filter(({ units }) => ids.has(units[0].id)) };
  });
  let fronts: readonly Front[] | undefined;
  return {
    segments,
    fronts: () => {
      fronts ??= segments.map((segment) =>
        segmentFront(
          segment.items.map(({ options }) => options),
          segment,
        ),
      );
      return fronts;
    },
    msPerToken: latency?.msPerToken ?? null,
    solver,
  };
}

/** The codecs that options of all items stand for: `optionsOf[segment]` has one a item. */
export function assignOptions(
  segments: readonly MatrixSegment[],
  optionsOf: readonly (readonly number[])[],
): Assignment {
  return new Map(
    segments.flatMap(({ items }, segment) =>
      items.flatMap(({ units, candidates }, item) =>
        units.map(({ id }): [string, CodecId] => [id, candidates[optionsOf[segment][item]]]),
      ),
    ),
  );
}

/** Milliseconds a token of such options. */
export function msOfOptions(segments: readonly MatrixSegment[], optionsOf: readonly (readonly number[])[]): number {
  let sum = 0;
  segments.forEach(({ items }, segment) => {
    items.forEach(({ ms }, item) => {
      sum += ms[optionsOf[segment][item]] ?? 0;
    });
  });
  return sum;
}

/** Each item at the candidate that takes the least bytes, of equal ones the first. */
export function smallestAssignment(ties: readonly TiedUnits[]): Assignment {
  return new Map(
    ties.flatMap(({ units, candidates }) => {
      const bytes = (codec: CodecId) =>
        units.reduce((sum, { rows, cols }) => sum + CODECS[codec].packedBytes(rows, cols), 0);
      const smallest = candidates.reduce((best, codec) => (bytes(codec) < bytes(best) ? codec : best));
      return units.map(({ id }): [string, CodecId] => [id, smallest]);
    }),
  );
}
