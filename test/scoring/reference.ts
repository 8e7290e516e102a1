import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { Rounding } from "../../src/scoring/rounded-source.ts";
import { dataFile, hasData, TINYSTORIES_656K } from "../support/data.ts";
import { FIXTURES, STORIES } from "../support/fixtures.ts";

/** A checkpoint with reference scores in test/fixtures; `model` is the name that the files give it. */
export interface Referenced {
  readonly model: string;
  readonly checkpoint: string;
  readonly scores: string;
}

/** The checkpoints with reference scores that are there. */
export const REFERENCED: readonly Referenced[] = [
  { model: "stories260k", checkpoint: STORIES, scores: "scores-stories260k" },
  ...(hasData(TINYSTORIES_656K)
    ? [{ model: "TinyStories-656K", checkpoint: dataFile(TINYSTORIES_656K), scores: "tinystories-656k" }]
    : []),
];

const Luc = z.array(z.object({ mse: z.number(), rel_out: z.number(), rel_delta: z.number() }));
const Kl = z.object({ per_block: z.array(z.number()), all: z.number() });
const ModelScores = z.object({
  lsaq: z.record(z.string(), z.array(z.number())),
  block_influence: z.array(z.number()),
  kl: z.object({ "2bit": Kl, "4bit": Kl, "8bit": z.object({ all: z.number() }) }),
  luc: z.object({ "2bit": Luc, "4bit": Luc, "8bit": Luc }),
});

/** Reference figures and calibration ids of a checkpoint. */
export function readReference({ model, scores }: Referenced) {
  const json = (name: string): unknown => JSON.parse(readFileSync(path.join(FIXTURES, scores, name), "utf8"));
  const { models, k } = z
    .object({ k: z.number(), models: z.record(z.string(), ModelScores) })
    .parse(json("reference_scores.json"));
  const Ids = z.record(z.string(), z.object({ ids: z.array(z.array(z.number())) }));
  const { ids } = Ids.parse(json("calibration_ids.json"))[model];
  return { k, scores: models[model], sequences: ids.map((sequence) => Int32Array.from(sequence)) };
}

/**
 * The fixture's rounding, `2bit`, `4bit` or `8bit`: symmetric to the nearest level, half to even, groups of 32 along
 * the inputs, scales in float64. Embedding and output head are left alone.
 */
export function fixtureRounding(codec: string): Rounding {
  const top = 2 ** (Number.parseInt(codec, 10) - 1) - 1;
  return (id, { rows, cols, data }) => {
    if (!id.startsWith("blocks.")) return null;
    const rounded = new Float32Array(data.length);
    for (let row = 0; row < rows; row++) {
      for (let from = 0; from < cols; from += 32) {
        const group = data.subarray(row * cols + from, row * cols + Math.min(from + 32, cols));
        rounded.set(roundGroup(group, top), row * cols + from);
      }
    }
    return { kind: "dense", rows, cols, data: rounded };
  };
}

function roundGroup(group: Float32Array, top: number): Float32Array {
  const scale = group.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / top || 1;
  return group.map((value) => scale * halfToEven(value / scale));
}

function halfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
