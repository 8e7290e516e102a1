// Second moments of the inputs of every block's ffn_down on a text, kept in files: a run that was stopped need not go
// through the text again.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createExecutor as open, openStatisticsDescent } from "../../dist/compress-entry.js";
import { progressLine } from "./common.mjs";

/** llama-imatrix's context. */
const SEQUENCE_TOKENS = 512;

/**
 * `{ tokens, gramOf(block) }` of the first `chunks` of a text, each on its own from position 0, as llama-imatrix takes
 * them; gramOf gives statistics as a descent does. `name` names the text and its length: files of that name in `folder`
 * are taken as they are.
 */
export async function collectGrams({ source, tokenizer, maths }, { text, chunks, name, folder, matrix, blocks }) {
  const ids = tokenizer.encode(text, { specialTokens: false });
  const whole = Math.min(chunks, Math.floor(ids.length / SEQUENCE_TOKENS));
  const sequences = Array.from({ length: whole }, (_, i) => ids.slice(i * SEQUENCE_TOKENS, (i + 1) * SEQUENCE_TOKENS));
  const tokens = whole * SEQUENCE_TOKENS;
  const fileOf = (block) => path.join(folder, `gram-${name}-${block}.f32`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(fileOf(blocks - 1))) {
    const createExecutor = (weights) =>
      open(weights, { executor: "native", residency: "streamed", activations: "f32" });
    const onProgress = progressLine();
    const descent = await openStatisticsDescent({ source, sequences, createExecutor, maths, onProgress });
    for (let block = 0; block < blocks; block++) {
      const { gram } = (await descent.collect()).of(matrix(block));
      // The last block's file is the sign that all are there.
      writeFileSync(`${fileOf(block)}.partial`, gram);
      renameSync(`${fileOf(block)}.partial`, fileOf(block));
      await descent.advance();
    }
    await descent.close();
  }
  const gramOf = (block) => {
    const { buffer } = new Uint8Array(readFileSync(fileOf(block)));
    const gram = new Float32Array(buffer);
    return { cols: Math.sqrt(gram.length), tokens, gram };
  };
  return { tokens, gramOf };
}
