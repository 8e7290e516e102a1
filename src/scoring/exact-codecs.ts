import type { CodecId } from "../codecs/index.ts";
import { type DecoderSpec, matricesOf } from "../model/decoder-spec.ts";
import { blockOf, isInUnit } from "../model/matrix-id.ts";
import { type ScoredUnit, scoredUnits } from "./scored-units.ts";
import type { Losses } from "./scores.ts";

/** A model, and the element type that each of its matrices is stored in. */
interface StoredModel {
  readonly spec: DecoderSpec;
  storedDtype(id: string): string;
}

/** Codecs of the blocks, and of embedding and output head. */
interface CodecsToScore {
  readonly codecs: readonly CodecId[];
  readonly embeddingCodecs: readonly CodecId[];
}

/** Codecs that hold the model's weights exactly: their losses are 0 and need not be measured. */
export interface ExactCodecs {
  /** The others. */
  readonly lossy: CodecsToScore;
  /** `losses` with the zeros. */
  withZeros(losses: Losses): Losses;
}

/** Of the codecs that losses are wanted for those that hold the stored weights as they are. */
export function exactCodecs(model: StoredModel, { codecs, embeddingCodecs }: CodecsToScore): ExactCodecs {
  const matrices = matricesOf(model.spec);
  const isExact = (unit: string, codec: CodecId) =>
    codec === "f32" ||
    matrices.filter(({ id }) => isInUnit(id, unit)).every(({ id }) => model.storedDtype(id).toLowerCase() === codec);
  const units = scoredUnits(model.spec, "block");
  const isBlock = ({ kind }: ScoredUnit) => kind === "block";
  const lossyIn = (ids: readonly CodecId[], among: readonly ScoredUnit[]) =>
    ids.filter((codec) => !among.every(({ unit }) => isExact(unit, codec)));
  const zerosOf = (unit: string, isOfBlock: boolean) =>
    (isOfBlock ? codecs : embeddingCodecs)
      .filter((codec) => isExact(unit, codec))
      .map((codec): [string, number] => [codec, 0]);
  return {
    lossy: {
      codecs: lossyIn(codecs, units.filter(isBlock)),
      embeddingCodecs: lossyIn(
        embeddingCodecs,
        units.filter((unit) => !isBlock(unit)),
      ),
    },
    withZeros: (losses) =>
      Object.fromEntries(
        Object.entries(losses).map(([unit, byCodec]) => [
          unit,
          { ...byCodec, ...Object.fromEntries(zerosOf(unit, blockOf(unit) !== null)) },
        ]),
      ),
  };
}
