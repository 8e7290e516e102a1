import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { dataFile, hasData, TINYSTORIES_656K } from "../support/data.ts";
import { ARCHITECTURES, architectureNames, FIXTURES, NEOX, STORIES } from "../support/fixtures.ts";

const byPosition = z.record(z.string(), z.array(z.number()));
const Summary = z.object({ l2: z.number(), at: byPosition, row_l2: z.record(z.string(), z.number()) });
const Golden = z.object({
  input_ids: z.array(z.array(z.number())),
  logits_seq0: z.array(z.array(z.number())),
  logits_seq1_last: z.array(z.number()),
  hidden: z.array(Summary.extend({ index: z.number() })),
  final_normed: Summary,
  greedy: z.object({ prompt: z.array(z.number()), continuation: z.array(z.number()) }),
  nll: z.array(z.number()),
  short_sequence: z
    .object({ input_ids: z.array(z.number()), logits_last: z.array(z.number()), nll: z.array(z.number()) })
    .optional(),
  long: z.object({ input_ids: z.array(z.number()), nll: z.array(z.number()) }).optional(),
});
export type Golden = z.infer<typeof Golden>;
export type Summary = z.infer<typeof Summary>;

/** A checkpoint folder with its reference numbers (test/fixtures/README.md). */
export interface GoldenCase {
  readonly name: string;
  readonly folder: string;
  /** File of the reference numbers. */
  readonly golden: string;
}

const caseIn = (name: string, folder: string): GoldenCase => ({
  name,
  folder,
  golden: path.join(folder, "golden.json"),
});

/** The bundled example. */
export const STORIES_CASE: GoldenCase = {
  ...{ name: "stories260k", folder: STORIES },
  golden: path.join(FIXTURES, "models/stories260k/golden.json"),
};
export const NEOX_CASE: GoldenCase = caseIn("neox-tiny", NEOX);

/** All architecture fixtures. */
export function architectureCases(): GoldenCase[] {
  return architectureNames().map((name) => caseIn(name, path.join(ARCHITECTURES, name)));
}

/** The trained checkpoints that are there: two that ship, and one of the data folder. */
export function modelCases(): GoldenCase[] {
  const outside = hasData(TINYSTORIES_656K) ? [caseIn("tinystories-656k", dataFile(TINYSTORIES_656K))] : [];
  return [STORIES_CASE, NEOX_CASE, ...outside];
}

export function readGolden({ golden }: GoldenCase): Golden {
  return Golden.parse(JSON.parse(readFileSync(golden, "utf8")));
}
