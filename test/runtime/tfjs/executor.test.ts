import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor, type TfjsOptions } from "../../../src/runtime/tfjs/executor.ts";
import { additionCases } from "../addition-cases.ts";
import { hiddenStates, logitsOf, maxDifference } from "../compare.ts";
import { sequenceCases, tokens } from "../executor-cases.ts";
import { packedSource, randomSource, smallSpec, unpackedSource } from "../random-model.ts";
import { weightCases } from "../weight-cases.ts";
import { withTfjsExecutor } from "./with-executor.ts";

describe("tfjs executor", () => {
  beforeAll(() => openBackend().then(() => undefined));

  sequenceCases(withTfjsExecutor);
  weightCases(withTfjsExecutor);
  additionCases(withTfjsExecutor);

  it.each(["cpu", "auto"] as const)(
    "keeps passes at the same time apart in one small scratch, on %s",
    async (backend) => {
      const source = await packedSource(randomSource(smallSpec()), "q8s-g32");
      // Room for four rows of the head at a time: many tiles in one scratch array.
      const options: TfjsOptions = { residency: "packed", expandBytes: 4 * 24 * 4, backend };
      await withTfjsExecutor(source, options, async (executor) => {
        const texts = [tokens(3, 1), tokens(4, 2), tokens(5, 3)];
        const alone: Float32Array[] = [];
        for (const ids of texts) alone.push(await logitsOf(executor, ids));
        const together = await Promise.all(texts.map((ids) => logitsOf(executor, ids)));
        expect(together).toEqual(alone);
      });
      await openBackend();
    },
  );

  it("gives the same where a tile has a few rows only", async () => {
    const packed = await packedSource(randomSource(smallSpec({ tied: true })), "q4a-g32");
    const ids = tokens(12);
    const reference = await withTfjsExecutor(await unpackedSource(packed), {}, (executor) => logitsOf(executor, ids));
    const found = await withTfjsExecutor(packed, { expandBytes: 4 * 16 * 5 }, (executor) => logitsOf(executor, ids));
    expect(maxDifference(found, reference)).toBeLessThan(1e-5);
  });

  it("leaves no tensor behind where it cannot be opened", async () => {
    const before = tf.memory().numTensors;
    const source = randomSource(smallSpec({ headBias: true }));
    const broken: WeightSource = {
      ...source,
      readVector: async (id) => {
        if (id === "head.bias") throw new Error("unreadable");
        return source.readVector(id);
      },
    };
    await expect(createTfjsExecutor(broken, { residency: "resident" })).rejects.toThrow("unreadable");
    expect(tf.memory().numTensors).toBe(before);
  });

  it("reads a dense block when it is reached, once, and keeps no other", async () => {
    const source = randomSource(smallSpec({ blocks: 3 }));
    await withTfjsExecutor(source, {}, async (executor) => {
      const tensors = tf.memory().numTensors;
      source.reads.length = 0;
      const states = await hiddenStates(executor, tokens(4));
      expect(states).toHaveLength(4);
      expect(tf.memory().numTensors).toBe(tensors);
      const blocks = source.reads.map((id) => id.split(".")[1]);
      // Block 0 was read when the executor was opened.
      expect([...new Set(blocks)]).toEqual(["1", "2"]);
      expect(source.reads).toHaveLength(14);
    });
  });

  it("stops between blocks where its signal is aborted, and leaves no tensor behind", async () => {
    const aborter = new AbortController();
    const source = randomSource(smallSpec({ blocks: 3 }));
    const aborting: WeightSource = {
      ...source,
      readMatrix: async (id) => {
        if (id.startsWith("blocks.1.")) aborter.abort();
        return source.readMatrix(id);
      },
    };
    await withTfjsExecutor(aborting, {}, async (executor) => {
      const embedded = await executor.embed(Int32Array.from(tokens(4)));
      const cache = executor.createCache({ maxTokens: 8 });
      const spans = [{ cache, position: 0, count: 4 }];
      const pass = executor.runBlocks(embedded, 0, 3, spans, { signal: aborter.signal });
      await expect(pass).rejects.toMatchObject({ name: "Interrupted" });
      expect([cache.length(0), cache.length(1), cache.length(2)]).toEqual([4, 4, 0]);
      executor.release(embedded);
    });
  });
});
