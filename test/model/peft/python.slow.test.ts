import path from "node:path";
import { describe, expect, it } from "vitest";
import { adaptedSource } from "../../../src/model/adapted-source.ts";
import { type Checkpoint, openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import { readPeftAdapter } from "../../../src/model/peft/read.ts";
import { writePeftAdapter } from "../../../src/model/peft/write.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { logitsOf, maxDifference } from "../../runtime/compare.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { randomParts, withCommonInputs } from "../../support/adapters.ts";
import { ARCHITECTURES } from "../../support/fixtures.ts";
import { HAS_PEFT, needsPeft, withPeft } from "./python-peft.ts";

const IDS = [5, 9, 200, 31, 77, 4, 150, 90, 8, 11, 63];
const root = temporaryFolder();

async function ownLogits(checkpoint: Checkpoint, parts: readonly LowRankPart[]): Promise<Float32Array> {
  const executor = await executorsOf(TEST_EXECUTORS[0], "resident")(adaptedSource(checkpoint, parts));
  const logits = await logitsOf(executor, IDS);
  await executor.dispose();
  return logits;
}

/** Plain layers, both fusions, and others' names. */
const FAMILIES = ["llama-gqa", "neox-parallel", "phi", "phi3", "starcoder2"];

describe.skipIf(!HAS_PEFT).each(FAMILIES)(needsPeft("the peft package and %s"), (family) => {
  it("reads what was written here, to the same logits", { timeout: 120_000 }, async () => {
    const folder = path.join(ARCHITECTURES, family);
    const checkpoint = await openCheckpoint(folder);
    const { spec } = checkpoint;
    // Everywhere with one A; and some matrices of one block only, of ranks of their own.
    const all = withCommonInputs(randomParts(spec, { scale: 0.3 }));
    const some = randomParts(spec, { rank: 2, factor: 3, scale: 0.3, has: (b, role) => b === 1 && role !== "attn.k" });
    for (const [name, parts] of Object.entries({ all, some })) {
      const adapter = path.join(root, `${family}-${name}`);
      await writePeftAdapter(adapter, spec, parts, { base: folder });
      const { logits, names } = withPeft("read", folder, adapter, IDS);
      expect(maxDifference(await ownLogits(checkpoint, parts), logits)).toBeLessThan(5e-4);
      expect(maxDifference(await ownLogits(checkpoint, []), logits)).toBeGreaterThan(0.1);
      expect(names.length).toBeGreaterThan(0);
    }
    await checkpoint.close();
  });

  it("writes what is read here, to the same logits", { timeout: 120_000 }, async () => {
    const folder = path.join(ARCHITECTURES, family);
    const checkpoint = await openCheckpoint(folder);
    const adapter = path.join(root, `${family}-theirs`);
    const { logits } = withPeft("write", folder, adapter, IDS);
    const { parts } = await readPeftAdapter(adapter, checkpoint.spec);
    const own = await ownLogits(checkpoint, parts);
    const scale = Math.max(...logits.map(Math.abs));
    expect(maxDifference(own, logits)).toBeLessThan(1e-4 * Math.max(1, scale));
    expect(maxDifference(await ownLogits(checkpoint, []), logits)).toBeGreaterThan(0.1);
    await checkpoint.close();
  });
});
