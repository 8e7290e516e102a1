import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

/** Shared material that the tests compare with; absent on some machines. */
export const SHARED = path.resolve("../shared");
export const HAS_SHARED = existsSync(path.join(SHARED, "fixtures/architectures"));

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

/** A checkpoint folder with its reference numbers (shared/fixtures/README.md). */
export interface GoldenCase {
  readonly name: string;
  readonly folder: string;
}

/** All architecture fixtures. */
export function architectureCases(): GoldenCase[] {
  return casesIn(path.join(SHARED, "fixtures/architectures"));
}

/** The trained checkpoints. */
export function modelCases(): GoldenCase[] {
  return casesIn(path.join(SHARED, "models"));
}

export function readGolden({ folder }: GoldenCase): Golden {
  return Golden.parse(JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8")));
}

function casesIn(root: string): GoldenCase[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, folder: path.join(root, name) }));
}
