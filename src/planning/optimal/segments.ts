import { CODECS, type CodecId } from "../../codecs/index.ts";
import { roundUp } from "../../codecs/tile.ts";
import { type DecoderSpec, headMatrixId } from "../../model/decoder-spec.ts";
import { type ExitShape, gatheredRowBytes } from "../../model/exit-bytes.ts";
import { segmentShapes } from "../../model/packed-layout.ts";
import type { BlockForms } from "../problem/block-forms.ts";
import { type FormedUnits, formSpecs } from "../problem/formed-units.ts";
import type { MatrixToPlan } from "../problem/matrices.ts";
import type { Allocation } from "../problem/problem.ts";
import type { Unit } from "../problem/units.ts";
import { type Front, frontOfForms, type Item, segmentFront } from "./front.ts";
import { type LatencySettings, matrixMs } from "./latency-model.ts";

/** A unit with what each of its codecs costs, one entry a candidate. */
interface UnitItem extends Unit {
  readonly options: Item;
  /** Milliseconds a token; empty without a bound on them. */
  readonly ms: readonly number[];
}

/** A form that a segment may have. */
interface SegmentForm {
  readonly items: readonly UnitItem[];
  /** Bytes of the segment that do not depend on codecs. */
  readonly fixedBytes: number;
  /** Bytes beside those of the files, less what the segment's first form takes so. */
  readonly outsideBytes: number;
  /** What the form costs beside its items. */
  readonly loss: number;
}

/** A segment of the weights files. */
export interface Segment {
  readonly forms: readonly SegmentForm[];
  /** The segment's bytes are rounded up to a multiple of this. */
  readonly align: number;
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
  readonly forms: BlockForms;
  readonly units: FormedUnits;
  /** Of every block's forms, as a segment's. */
  readonly outsideBytes: readonly (readonly number[])[];
  /** Exits whose heads hold rows of the output head in its codec: what these take counts with it. */
  readonly exits: ExitShape | null;
  lossOf(matrix: MatrixToPlan, codec: CodecId): number;
  readonly latency: LatencySettings | null;
}

/** Prepares what all budgets share. */
export function segmentedCosts(parts: CostParts): SegmentedCosts {
  const { spec, forms, units, outsideBytes, exits, lossOf, latency } = parts;
  const rowBytes = ({ id }: MatrixToPlan, codec: CodecId) =>
    exits && id === headMatrixId(spec) ? gatheredRowBytes(spec, exits, codec) : 0;
  const itemOf = (unit: Unit): UnitItem => {
    const sum = (of: (matrix: MatrixToPlan) => number) => unit.matrices.reduce((all, matrix) => all + of(matrix), 0);
    const options = unit.candidates.map((codec) => ({
      bytes: sum((matrix) => CODECS[codec].packedBytes(matrix.rows, matrix.cols) + rowBytes(matrix, codec)),
      loss: sum((matrix) => lossOf(matrix, codec)),
    }));
    const msOf = (codec: CodecId, bound: LatencySettings) => sum((matrix) => matrixMs(matrix, codec, spec.tied, bound));
    return { ...unit, options, ms: latency ? unit.candidates.map((codec) => msOf(codec, latency)) : [] };
  };
  const shapes = formSpecs(spec, forms).map(segmentShapes);
  const segments = shapes[0].map(({ matrices, vectorBytes, align }, segment): Segment => {
    // The first segment is the embedding, then come the blocks.
    const block = segment - 1;
    const own = units.blocks[block]?.map((left, form) => {
      return {
        items: left.map(itemOf),
        fixedBytes: shapes[form][segment].vectorBytes,
        outsideBytes: outsideBytes[block][form],
        loss: forms[block][form].cut?.loss ?? 0,
      };
    });
    if (own) return { forms: own, align };
    const ids = new Set(matrices.map(({ id }) => id));
    const items = units.outer.filter((unit) => ids.has(unit.matrices[0].id)).map(itemOf);
    return { forms: [{ items, fixedBytes: vectorBytes, outsideBytes: 0, loss: 0 }], align };
  });
  let fronts: readonly Front[] | undefined;
  return {
    segments,
    fronts: () => {
      fronts ??= segments.map(frontOf);
      return fronts;
    },
    msPerToken: latency?.msPerToken ?? null,
  };
}

function frontOf({ forms, align }: Segment): Front {
  return frontOfForms(
    forms.map(({ items, fixedBytes, outsideBytes, loss }) => ({
      front: segmentFront(
        items.map(({ options }) => options),
        { fixedBytes, align },
      ),
      bytes: outsideBytes,
      loss,
    })),
  );
}

/** A form of a segment, and the option of each item that it then has. */
export interface SegmentChoice {
  readonly form: number;
  readonly picks: readonly number[];
}

/** The forms of blocks and the codecs that one choice a segment stands for. */
export function allocationOf(segments: readonly Segment[], choices: readonly SegmentChoice[]): Allocation {
  const assignment = new Map(
    segments.flatMap(({ forms }, segment) => {
      const { form, picks } = choices[segment];
      return forms[form].items.flatMap(({ matrices, candidates }, item) =>
        matrices.map(({ id }): [string, CodecId] => [id, candidates[picks[item]]]),
      );
    }),
  );
  // The first segment is the embedding, the last what follows the blocks.
  return { forms: choices.slice(1, -1).map(({ form }) => form), assignment };
}

/** What such choices cost: bytes with padding, loss, and milliseconds a token. */
export function costOf(segments: readonly Segment[], choices: readonly SegmentChoice[]) {
  const sums = { bytes: 0, loss: 0, ms: 0 };
  segments.forEach(({ forms, align }, segment) => {
    const { form, picks } = choices[segment];
    const { items, fixedBytes, outsideBytes, loss } = forms[form];
    let inFiles = fixedBytes;
    items.forEach(({ options, ms }, item) => {
      const option = options[picks[item]];
      inFiles += option.bytes;
      sums.loss += option.loss;
      sums.ms += ms[picks[item]] ?? 0;
    });
    sums.bytes += roundUp(inFiles, align) + outsideBytes;
    sums.loss += loss;
  });
  return sums;
}

/** Each segment in its first form, at the options that take the least bytes. */
export function narrowestChoices(segments: readonly Segment[]): SegmentChoice[] {
  return segments.map(({ forms: [{ items }] }) => ({
    form: 0,
    picks: items.map(({ options }) => {
      const bytes = options.map((option) => option.bytes);
      return bytes.indexOf(Math.min(...bytes));
    }),
  }));
}
