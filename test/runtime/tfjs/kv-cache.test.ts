import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DecoderSpec } from "../../../src/model/decoder-spec.ts";
import { KV_TYPES, type KvType, kvVectorBytes } from "../../../src/model/kv-type.ts";
import { createWideningBuffers, PagedKvCache } from "../../../src/runtime/tfjs/kv-cache.ts";
import { roundToF16 } from "../../../src/tensor/half.ts";
import { smallSpec } from "../random-model.ts";

const WIDTH = 8;
const buffers = createWideningBuffers();

/** Numbers that name their position and channel. */
const rowsOf = (from: number, to: number, sign = 1) =>
  Float32Array.from(
    { length: (to - from) * WIDTH },
    (_, i) => sign * (1 + from + Math.floor(i / WIDTH) + (i % WIDTH) / 16),
  );

function append(cache: PagedKvCache, to: number, offset = 0): void {
  const from = cache.length(0);
  const shifted = (sign: number) => rowsOf(from, to, sign).map((value) => value + offset);
  cache.append(0, from, shifted(1), shifted(-1));
}

/** What block 0 holds, as rows [positions, width] again. */
function contents(cache: PagedKvCache): { start: number; keys: number[][]; values: number[][] } {
  const { start, positions, keys, values } = cache.widen(0, buffers);
  const rows = (at: (position: number, head: number, i: number) => number) =>
    Array.from({ length: positions }, (_, position) =>
      Array.from({ length: WIDTH }, (_, c) => at(position, c >> 2, c & 3)),
    );
  return {
    start,
    keys: rows((position, head, i) => keys[(head * 4 + i) * positions + position]),
    values: rows((position, head, i) => values[(head * positions + position) * 4 + i]),
  };
}

const expectedRows = (from: number, to: number, sign = 1) =>
  Array.from({ length: to - from }, (_, i) => [...rowsOf(from + i, from + i + 1, sign)]);

const newCache = (options: { window?: number; maxTokens?: number; kvType?: KvType; spec?: DecoderSpec } = {}) =>
  new PagedKvCache(options.spec ?? smallSpec({ window: options.window ?? null }), {
    maxTokens: options.maxTokens ?? 1000,
    kvType: options.kvType ?? "f32",
  });

describe("KV cache", () => {
  it("gives back what was appended, in any chunking and after any truncation", () => {
    const step = fc.record({ truncateTo: fc.nat(200), appendTo: fc.nat(300) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const cache = newCache({ maxTokens: 300 });
        for (const { truncateTo, appendTo } of steps) {
          cache.truncate(truncateTo);
          if (appendTo > cache.length(0)) append(cache, appendTo);
        }
        const length = cache.length(0);
        expect(contents(cache)).toEqual({
          start: 0,
          keys: expectedRows(0, length),
          values: expectedRows(0, length, -1),
        });
      }),
      { numRuns: 60 },
    );
  });

  it("rounds to f16 where that is its type", () => {
    const cache = newCache({ kvType: "f16" });
    cache.append(
      0,
      0,
      Float32Array.from({ length: WIDTH }, (_, i) => Math.PI * (i + 1)),
      new Float32Array(WIDTH),
    );
    expect(contents(cache).keys[0]).toEqual(
      Array.from({ length: WIDTH }, (_, i) => roundToF16(Math.fround(Math.PI * (i + 1)))),
    );
  });

  it("keeps 8-bit levels under one scale a position and head where that is its type", () => {
    const cache = newCache({ kvType: "q8" });
    const rows = 70;
    const keys = Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i * i) * (1 + (i % 7)));
    keys.fill(0, 5 * WIDTH, 5 * WIDTH + 4);
    const values = keys.map((x) => x * 1e-3);
    cache.append(0, 0, keys.slice(0, 3 * WIDTH), values.slice(0, 3 * WIDTH));
    cache.append(0, 3, keys.slice(3 * WIDTH), values.slice(3 * WIDTH));
    const stored = (row: readonly number[]) =>
      [row.slice(0, 4), row.slice(4)].flatMap((head) => {
        const scale = Math.fround(Math.max(...head.map(Math.abs)) / 127);
        return head.map((x) => (scale === 0 ? 0 : Math.fround(Math.round(x / scale) * scale)));
      });
    const expected = (all: Float32Array) =>
      Array.from({ length: rows }, (_, row) => stored([...all.subarray(row * WIDTH, (row + 1) * WIDTH)]));
    expect(contents(cache)).toEqual({ start: 0, keys: expected(keys), values: expected(values) });
    const fork = cache.fork();
    fork.truncate(60);
    append(fork, 62, 0.5);
    expect(contents(cache).keys).toEqual(expected(keys));
  });

  it("forks: neither side sees what the other writes, and full pages are shared until written", () => {
    const cache = newCache();
    append(cache, 100);
    const fork = cache.fork();
    append(cache, 130, 0.5);
    fork.truncate(40);
    append(fork, 70);
    expect(contents(fork).keys).toEqual(expectedRows(0, 70));
    expect(contents(cache).keys.slice(0, 100)).toEqual(expectedRows(0, 100));
    expect(contents(cache).keys[110]).toEqual(expectedRows(110, 111)[0].map((value) => value + 0.5));
    const shared = newCache();
    append(shared, 128);
    const second = shared.fork();
    shared.truncate(0);
    expect(contents(second).keys).toEqual(expectedRows(0, 128));
  });

  it("keeps lengths per block", () => {
    const cache = newCache();
    append(cache, 10);
    expect([cache.length(0), cache.length(1)]).toEqual([10, 0]);
    cache.append(1, 0, rowsOf(0, 6), rowsOf(0, 6));
    cache.truncate(4, 1);
    expect([cache.length(0), cache.length(1)]).toEqual([10, 4]);
  });

  it("keeps window + 64 positions behind a sliding window, and says when a truncation went further", () => {
    const cache = newCache({ window: 20 });
    for (let to = 30; to <= 600; to += 30) {
      append(cache, to);
      cache.trim(0);
    }
    const { start, keys } = contents(cache);
    expect(start).toBeLessThanOrEqual(600 - 84);
    expect(start).toBeGreaterThan(600 - 84 - 64);
    expect(keys).toEqual(expectedRows(start, 600));
    cache.truncate(600 - 64);
    expect(cache.needsRebuild(600)).toBe(false);
    append(cache, 540);
    cache.truncate(500);
    expect(cache.needsRebuild(501)).toBe(true);
    expect(() => append(cache, 501)).toThrow(/no longer holds the window/);
    cache.truncate(100);
    expect(cache.needsRebuild(101)).toBe(true);
    cache.truncate(0);
    expect(cache.needsRebuild(101)).toBe(false);
    append(cache, 50);
    expect(contents(cache).keys).toEqual(expectedRows(0, 50));
  });

  it("holds no more bytes than its tokens ask for", () => {
    for (const kvType of KV_TYPES) {
      for (const maxTokens of [1, 63, 64, 100, 200]) {
        const cache = newCache({ maxTokens, kvType });
        append(cache, maxTokens);
        expect(cache.byteLength()).toBe(maxTokens * 2 * 2 * kvVectorBytes(kvType, WIDTH / 2));
      }
    }
  });

  it("refuses more than maxTokens, a position that it does not stand at, and use after dispose", () => {
    const cache = newCache({ maxTokens: 5 });
    append(cache, 5);
    expect(() => append(cache, 6)).toThrow(/made for 5 tokens, asked for 6/);
    expect(() => cache.reserve(6)).toThrow(/made for 5 tokens/);
    expect(() => cache.append(0, 3, rowsOf(3, 4), rowsOf(3, 4))).toThrow(/holds 5 positions, the rows start at 3/);
    cache.dispose();
    expect(() => cache.length(0)).toThrow(/disposed/);
  });

  it("changes the rotary regime only while empty", () => {
    const spec = smallSpec();
    const scaling = {
      kind: "longrope" as const,
      shortFactor: [1, 1],
      longFactor: [2, 4],
      originalMaxPositions: 16,
      attentionFactor: 1.1,
    };
    for (const { attention } of spec.blocks) if (attention?.rope) attention.rope = { ...attention.rope, scaling };
    const cache = newCache({ spec });
    expect(cache.needsRebuild(17)).toBe(false);
    cache.reserve(12);
    append(cache, 12);
    expect([cache.needsRebuild(16), cache.needsRebuild(17)]).toEqual([false, true]);
    cache.reserve(16);
    expect(() => cache.reserve(17)).toThrow(/feed the sequence anew/);
    cache.truncate(0);
    cache.reserve(17);
    expect(cache.regime(0)).toBe("long");
    append(cache, 17);
    expect([cache.needsRebuild(100), cache.needsRebuild(16)]).toEqual([false, true]);
    expect(cache.fork().regime(0)).toBe("long");
  });
});
