import { describe, expect, test } from "vitest";
import type { ScheduleRow } from "../../../src/artifact/schedule.ts";
import {
  chooseRow,
  frontOf,
  type ScheduleCosts,
  type ScheduledArtifact,
  type SearchOptions,
  scheduleRows,
  turnSeconds,
} from "../../../src/bench/schedule/search.ts";
import { Random } from "../../../src/tensor/random.ts";

const MIB = 2 ** 20;
const artifact: ScheduledArtifact = {
  plannedKvType: "f16",
  memoryOf: (kvType, promptChunk) => ({
    besideBytes: (kvType === "q8" ? 110 : 120) * MIB + promptChunk * 1024,
    weightBytes: 80 * MIB,
    leastWeightBytes: 4 * MIB,
    openingBytes: 90 * MIB,
  }),
  streamedIn: (roomBytes) => {
    if (roomBytes < 4 * MIB) return null;
    const held = Math.min(80 * MIB, roomBytes);
    return { heldBytes: held, tokenBytes: 80 * MIB - (held === 80 * MIB ? held : held - 4 * MIB) };
  },
};
const plain = { decode: { kind: "plain", options: {} }, lossless: true, ratio: 1 };
const chunks = (ms: number) => [64, 256].map((rows) => ({ rows, ms: (rows * ms) / 10 }));
const costs: ScheduleCosts = {
  compute: [
    { threads: 1, kvType: "f16", residency: "mapped", tokenMs: 10, chunks: chunks(10) },
    { threads: 2, kvType: "f16", residency: "mapped", tokenMs: 6, chunks: chunks(5) },
    { threads: 2, kvType: "f16", residency: "memory", tokenMs: 5.99, chunks: chunks(5) },
  ],
  stream: [1, 2].map((threads) => ({ threads, bytesPerSecond: 2e9 })),
  decodes: { held: [plain], streamed: [plain] },
};
const turn = { promptTokens: 100, generateTokens: 50 };
const search = (memoryLimitBytes: number | null): SearchOptions => ({ memoryLimitBytes, turn });
const chosen = (limit: number | null, of: ScheduleCosts = costs) =>
  chooseRow(scheduleRows(artifact, of, search(limit)), search(limit));

describe("the search for a schedule", () => {
  test("takes the fastest, of those that are about as fast the first of the least memory", () => {
    expect(chosen(null)).toMatchObject({ threads: 2, residency: "mapped", promptChunk: 64, memoryLimitBytes: null });
  });

  test("streams where a limit leaves no room for all, as little as it must", () => {
    const limit = 160 * MIB;
    const row = chosen(limit) ?? expect.fail("nothing was chosen");
    expect(row).toMatchObject({ residency: "streamed", threads: 2 });
    expect(row.memoryBytes).toBeLessThanOrEqual(limit);
    const least = Math.min(
      ...scheduleRows(artifact, costs, search(limit))
        .filter(({ memoryBytes }) => memoryBytes <= limit)
        .map((one) => turnSeconds(one, turn)),
    );
    expect(turnSeconds(row, turn)).toBeLessThanOrEqual(1.01 * least);
    expect(chosen(100 * MIB)).toBeNull();
  });

  test("streams with fewer threads where more of them take the disk's share of the processors", () => {
    const crowded = [2e9, 1e9].map((bytesPerSecond, i) => ({ threads: i + 1, bytesPerSecond }));
    const both = costs.compute.map((cost) => ({ ...cost, residency: "memory" as const }));
    const row = chosen(130 * MIB, { ...costs, compute: both, stream: crowded });
    expect(row).toMatchObject({ residency: "streamed", threads: 1 });
  });

  test("a larger chunk pays where blocks are read for each", () => {
    const long = { memoryLimitBytes: 130 * MIB, turn: { promptTokens: 4000, generateTokens: 2 } };
    expect(chooseRow(scheduleRows(artifact, costs, long), long)?.promptChunk).toBe(256);
  });

  test("a token takes what its bytes on the disk take, or what computing it takes", () => {
    const rows = scheduleRows(artifact, costs, search(130 * MIB));
    const streamed = rows.filter(({ residency, memoryLimitBytes }) => residency === "streamed" && memoryLimitBytes);
    expect(streamed.length).toBeGreaterThan(0);
    for (const row of streamed) {
      const read = artifact.streamedIn(
        (row.memoryLimitBytes ?? 0) - artifact.memoryOf("f16", row.promptChunk).besideBytes,
      );
      const ms = Math.max(5.99, (1000 * (read?.tokenBytes ?? 0)) / 2e9);
      expect(row.generateTokensPerSecond).toBeCloseTo(1000 / ms, 6);
    }
  });

  test("says which rows have another text", () => {
    const other: ScheduleCosts = {
      ...costs,
      compute: [...costs.compute, { threads: 2, kvType: "q8", residency: "mapped", tokenMs: 5, chunks: chunks(5) }],
      decodes: {
        held: [plain, { decode: { kind: "vote", options: {} }, lossless: false, ratio: 2 }],
        streamed: [plain],
      },
    };
    const rows = scheduleRows(artifact, other, search(null));
    for (const { sameText, kvType, decode } of rows) expect(sameText).toBe(kvType === "f16" && decode.kind === "plain");
    expect(chosen(null, other)).toMatchObject({ sameText: false, decode: { kind: "vote" }, kvType: "q8" });
  });

  test("of any rows the front has none that another one beats, and all others are beaten", () => {
    const random = new Random(5);
    const [first] = scheduleRows(artifact, costs, search(null));
    for (let round = 0; round < 50; round++) {
      const rows = Array.from({ length: 1 + Math.floor(random.next() * 30) }, (): ScheduleRow => {
        const speed = 1 + Math.floor(random.next() * 50);
        const memoryBytes = 1 + Math.floor(random.next() * 20);
        return { ...first, memoryBytes, generateTokensPerSecond: speed, promptTokensPerSecond: speed };
      });
      const front = frontOf(rows, search(null));
      for (const [i, row] of front.slice(1).entries()) {
        expect(row.memoryBytes).toBeGreaterThanOrEqual(front[i].memoryBytes);
        expect(turnSeconds(row, turn)).toBeLessThan(turnSeconds(front[i], turn));
      }
      for (const row of rows) {
        const beats = (one: ScheduleRow) =>
          one.memoryBytes <= row.memoryBytes && turnSeconds(one, turn) <= turnSeconds(row, turn) / 0.99;
        expect(front.some(beats)).toBe(true);
      }
    }
  });
});
