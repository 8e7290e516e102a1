import { CODECS, type CodecId } from "../../codecs/index.ts";
import { type DecoderSpec, headMatrixId } from "../../model/decoder-spec.ts";
import { type ExitShape, gatheredRowBytes } from "../../model/exit-bytes.ts";
import { segmentShapes } from "../../model/packed-layout.ts";
import type { Assignment, MatrixToPlan } from "../problem/matrices.ts";
import type { Unit } from "../problem/units.ts";
import { type Front, type Item, type SegmentShape, segmentFront } from "./front.ts";
import { type LatencySettings, matrixMs } from "./latency-model.ts";

/** A unit with what each of its codecs costs, one entry a candidate. */
interface UnitItem extends Unit {
  readonly options: Item;
  /** Milliseconds a token; empty without a bound on them. */
  readonly ms: readonly number[];
}

/** A segment of the weights files. */
export interface Segment extends SegmentShape {
  readonly items: readonly UnitItem[];
}

/** A model's units by segments of its files, with what their codecs cost; the same for all budgets. */
export interface SegmentedCosts {
  readonly segments: readonly Segment[];
  /** The best ways to store each segment, found at the first call. */
  fronts(): readonly Front[];
  /** Bound on the sum of the items' milliseconds; null for none. */
  readonly msPerToken: number | null;
}

/** What costs are made of; `lossOf` may throw for a codec without a loss. */
export interface CostParts {
  readonly spec: DecoderSpec;
  readonly units: readonly Unit[];
  /** Exits whose heads hold rows of the output head in its codec: what these take counts with it. */
  readonly exits: ExitShape | null;
  lossOf(matrix: MatrixToPlan, codec: CodecId): number;
  readonly latency: LatencySettings | null;
}

/** Prepares what all budgets share. */
export function segmentedCosts({ spec, units, exits, lossOf, latency }: CostParts): SegmentedCosts {
  const rowBytes = ({ id }: MatrixToPlan, codec: CodecId) =>
    exits && id === headMatrixId(spec) ? gatheredRowBytes(spec, exits, codec) : 0;
  const items = units.map((unit): UnitItem => {
    const sum = (of: (matrix: MatrixToPlan) => number) => unit.matrices.reduce((all, matrix) => all + of(matrix), 0);
    const options = unit.candidates.map((codec) => ({
      bytes: sum((matrix) => CODECS[codec].packedBytes(matrix.rows, matrix.cols) + rowBytes(matrix, codec)),
      loss: sum((matrix) => lossOf(matrix, codec)),
    }));
    const msOf = (codec: CodecId, bound: LatencySettings) => sum((matrix) => matrixMs(matrix, codec, spec.tied, bound));
    return { ...unit, options, ms: latency ? unit.candidates.map((codec) => msOf(codec, latency)) : [] };
  });
  const segments = segmentShapes(spec).map(({ matrices, vectorBytes, align }) => {
    const ids = new Set(matrices.map(({ id }) => id));
    return { fixedBytes: vectorBytes, align, items: items.filter((item) => ids.has(item.matrices[0].id)) };
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
  };
}

/** The codecs that options of all items stand for: `optionsOf[segment]` has one a item. */
export function assignOptions(segments: readonly Segment[], optionsOf: readonly (readonly number[])[]): Assignment {
  return new Map(
    segments.flatMap(({ items }, segment) =>
      items.flatMap(({ matrices, candidates }, item) =>
        matrices.map(({ id }): [string, CodecId] => [id, candidates[optionsOf[segment][item]]]),
      ),
    ),
  );
}

/** Milliseconds a token of such options. */
export function msOfOptions(segments: readonly Segment[], optionsOf: readonly (readonly number[])[]): number {
  let sum = 0;
  segments.forEach(({ items }, segment) => {
    items.forEach(({ ms }, item) => {
      sum += ms[optionsOf[segment][item]] ?? 0;
    });
  });
  return sum;
}

/** Each unit at the candidate that takes the least bytes, of equal ones the first. */
export function smallestAssignment(units: readonly Unit[]): Assignment {
  return new Map(
    units.flatMap(({ matrices, candidates }) => {
      const bytes = (codec: CodecId) =>
        matrices.reduce((sum, { rows, cols }) => sum + CODECS[codec].packedBytes(rows, cols), 0);
      const smallest = candidates.reduce((best, codec) => (bytes(codec) < bytes(best) ? codec : best));
      return matrices.map(({ id }): [string, CodecId] => [id, smallest]);
    }),
  );
}
