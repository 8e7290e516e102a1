import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
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
import { HAS_PEFT, needsPeft, type PeftJob, withPeft } from "./python-peft.ts";

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

describe.skipIf(!HAS_PEFT)(needsPeft("the peft package"), () => {
  const checkpoints = new Map<string, Checkpoint>();
  const jobs: PeftJob[] = [];
  let views: ReturnType<typeof withPeft> = [];

  /** Everywhere with one A; and some matrices of one block only, of ranks of their own. */
  const partsOf = (family: string): Readonly<Record<"all" | "some", readonly LowRankPart[]>> => {
    const { spec } = checkpointOf(family);
    const has = (block: number, role: string) => block === 1 && role !== "attn.k";
    return {
      all: withCommonInputs(randomParts(spec, { scale: 0.3 })),
      some: randomParts(spec, { rank: 2, factor: 3, scale: 0.3, has }),
    };
  };

  function checkpointOf(family: string): Checkpoint {
    const found = checkpoints.get(family);
    if (!found) throw new Error(`no ${family}`);
    return found;
  }

  function viewOf(adapter: string) {
    return views[jobs.findIndex((job) => job.adapter === adapter)];
  }

  beforeAll(async () => {
    for (const family of FAMILIES) {
      const folder = path.join(ARCHITECTURES, family);
      const checkpoint = await openCheckpoint(folder);
      checkpoints.set(family, checkpoint);
      for (const [name, parts] of Object.entries(partsOf(family))) {
        const adapter = path.join(root, `${family}-${name}`);
        await writePeftAdapter(adapter, checkpoint.spec, parts, { base: folder });
        jobs.push({ how: "read", checkpoint: folder, adapter, ids: IDS });
      }
      jobs.push({ how: "write", checkpoint: folder, adapter: path.join(root, `${family}-theirs`), ids: IDS });
    }
    views = withPeft(jobs);
    return async () => {
      for (const checkpoint of checkpoints.values()) await checkpoint.close();
    };
  }, 300_000);

  it.each(FAMILIES)("reads what was written here, to the same logits: %s", async (family) => {
    const checkpoint = checkpointOf(family);
    for (const [name, parts] of Object.entries(partsOf(family))) {
      const { logits, names } = viewOf(path.join(root, `${family}-${name}`));
      expect(maxDifference(await ownLogits(checkpoint, parts), logits)).toBeLessThan(tolerance(logits));
      expect(maxDifference(await ownLogits(checkpoint, []), logits)).toBeGreaterThan(0.1);
      expect(names.length).toBeGreaterThan(0);
    }
  });

  it.each(FAMILIES)("writes what is read here, to the same logits: %s", async (family) => {
    const checkpoint = checkpointOf(family);
    const adapter = path.join(root, `${family}-theirs`);
    const { logits } = viewOf(adapter);
    const { parts } = await readPeftAdapter(adapter, checkpoint.spec);
    expect(maxDifference(await ownLogits(checkpoint, parts), logits)).toBeLessThan(tolerance(logits));
    expect(maxDifference(await ownLogits(checkpoint, []), logits)).toBeGreaterThan(0.1);
  });
});

/** Both compute in f32, in orders of their own. */
function tolerance(logits: readonly number[]): number {
  return 1e-4 * logits.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
}
