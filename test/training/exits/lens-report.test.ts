import { expect, test } from "vitest";
import { f16ToF32Array, f32ToF16Array } from "../../../src/tensor/half.ts";
import { Random } from "../../../src/tensor/random.ts";
import { reportHeads } from "../../../src/training/exits/lens-report.ts";
import type { SavedStates, StateShard } from "../../../src/training/exits/states.ts";
import type { ExitAnswers } from "../../../src/training/exits/thresholds.ts";
import { openExecutor } from "../../decoding/speculative/exit-cases.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";

const HIDDEN = 16;
const POINTS = [1, 2];

/** Shards of drawn states; the model's answer is that of the lens after one block in every row of the first shard. */
test("counts what heads and the logit lens answer rightly, shard after shard", async () => {
  const executor = await openExecutor(randomSource(smallSpec({ blocks: 3, hiddenSize: HIDDEN }), 5), "tfjs");
  const random = new Random(4);
  const shards: StateShard[] = [];
  const lens: number[][] = POINTS.map(() => []);
  for (const tokens of [5, 3]) {
    const states = new Map<number, Uint16Array>();
    for (const [i, point] of POINTS.entries()) {
      const halves = f32ToF16Array(Float32Array.from({ length: tokens * HIDDEN }, () => random.nextNormal()));
      states.set(point, halves);
      const logits = await executor.logits(executor.write(f16ToF32Array(halves), tokens));
      for (let row = 0; row < tokens; row++) {
        const own = [...logits.subarray(row * 37, (row + 1) * 37)];
        lens[i].push(own.indexOf(Math.max(...own)));
      }
    }
    const argmax = Int32Array.from(lens[0].slice(-tokens), (id) => (shards.length === 0 ? id : (id + 1) % 37));
    shards.push({ tokens, states, teacher: { logSumExp: new Float32Array(tokens), argmax } });
  }
  const saved: SavedStates = { tokens: 8, shards: [5, 3], sequences: [8], read: async (shard) => shards[shard] };
  const answers = [6, 0].map((right): ExitAnswers => {
    const agrees = Uint8Array.from({ length: 8 }, (_, row) => (row < right ? 1 : 0));
    return { agrees, confidence: new Float32Array(8), outside: new Uint8Array(8) };
  });
  const wanted = shards.flatMap(({ teacher }) => [...teacher.argmax]);
  const second = lens[1].filter((id, row) => id === wanted[row]).length;
  expect(await reportHeads(executor, saved, { points: POINTS, answers })).toEqual([
    { tokens: 8, agreement: 0.75, lensAgreement: 5 / 8 },
    { tokens: 8, agreement: 0, lensAgreement: second / 8 },
  ]);
  const signal = AbortSignal.abort();
  await expect(reportHeads(executor, saved, { points: POINTS, answers, signal })).rejects.toMatchObject({
    name: "Interrupted",
  });
  await executor.dispose();
});
