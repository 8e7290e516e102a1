import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { exitTensorBytes } from "../../model/exit-bytes.ts";
import { badArtifact } from "../artifact-error.ts";
import type { ExitTable } from "./table.ts";

/**
 * Checks an exit table against the model that it belongs to. Throws UserError naming the first field that does not fit.
 */
export function checkExits(spec: DecoderSpec, table: ExitTable, label: string): void {
  const fail = (field: string, expected: string, found: unknown): never => {
    throw badArtifact(label, `exits.${field}: expected ${expected}, found ${found}`);
  };
  const { exits, vocabulary } = table;
  if (vocabulary !== "full" && vocabulary.ids >= spec.vocabSize) {
    fail("vocabulary.ids", `fewer than the vocabulary's ${spec.vocabSize}`, vocabulary.ids);
  }
  for (const [i, { blocks, rank, bytes }] of exits.entries()) {
    if (blocks >= spec.blocks.length) fail(`exits.${i}.blocks`, `fewer than ${spec.blocks.length} blocks`, blocks);
    if (rank !== null && rank > spec.hiddenSize) fail(`exits.${i}.rank`, `at most ${spec.hiddenSize}`, rank);
    const expected = exitTensorBytes(spec, table, i);
    if (bytes !== expected) fail(`exits.${i}.bytes`, String(expected), bytes);
  }
  for (const [i, { report }] of table.levels.entries()) {
    if (report.meanBlocks > spec.blocks.length) {
      fail(`levels.${i}.report.meanBlocks`, `at most ${spec.blocks.length} blocks`, report.meanBlocks);
    }
  }
}
