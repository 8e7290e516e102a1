import { describe, expect, test } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { headMatrixId, linearsOf } from "../../src/model/decoder-spec.ts";
import { idOf } from "../../src/model/matrix-id.ts";
import { leastStreamBytes, planStream, STREAM_BUFFERS } from "../../src/model/stream-plan.ts";
import type { MatrixPlace, PlacedSource } from "../../src/model/weight-source.ts";
import { Random } from "../../src/tensor/random.ts";
import { randomSource, type Shape, smallSpec } from "../runtime/random-model.ts";

const PAGE = 4096;
const CODEC = "q8s-g32";

/** A small model whose matrices lie in a file: segments from whole pages on, each begun by some vectors. */
function placed(shape: Shape): PlacedSource {
  const spec = smallSpec(shape);
  const places = new Map<string, MatrixPlace>();
  let at = PAGE;
  const lay = (matrices: readonly (readonly [string, number, number])[]) => {
    at = Math.ceil(at / PAGE) * PAGE + 192;
    for (const [id, rows, cols] of matrices) {
      const bytes = CODECS[CODEC].packedBytes(rows, cols);
      places.set(id, { codec: CODEC, rows, cols, file: "weights", offset: at, bytes });
      at += bytes;
    }
  };
  if (!spec.tied) lay([["embedding", spec.vocabSize, spec.hiddenSize]]);
  spec.blocks.forEach((block, i) => {
    lay(linearsOf(block).map(({ role, linear }) => [idOf(i, role), linear.rows, linear.cols] as const));
  });
  lay([[headMatrixId(spec), spec.vocabSize, spec.hiddenSize]]);
  return {
    ...randomSource(spec),
    placeOf: (id) => places.get(id) ?? expect.fail(id),
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);
const random = new Random(3);
const sources = Array.from({ length: 12 }, (_, i) =>
  placed({
    blocks: 1 + Math.floor(random.next() * 30),
    hiddenSize: 32 * (1 + Math.floor(random.next() * 4)),
    ffn: 16 + Math.floor(random.next() * 400),
    vocabSize: 50 + Math.floor(random.next() * 3000),
    tied: i % 2 === 0,
  }),
);

describe("what is held and what is streamed", () => {
  test.each(sources.map((source, i) => [i, source] as const))("of model %i stays within any room", (_, source) => {
    const least = leastStreamBytes(source);
    const all = planStream(source, Number.MAX_SAFE_INTEGER) ?? expect.fail("no plan");
    expect([all.tokenBytes, all.headParts, all.streamed.includes(true)]).toEqual([0, null, false]);
    let before = Number.POSITIVE_INFINITY;
    for (let step = 0; step <= 40; step++) {
      const room = Math.ceil(least + ((all.heldBytes - least) * step) / 40);
      const plan = planStream(source, room) ?? expect.fail(`no plan for ${room}`);
      expect(plan.heldBytes).toBeLessThanOrEqual(room);
      const blocks = plan.blocks.map((span) => span?.bytes ?? 0);
      const held = sum(blocks.filter((__, i) => !plan.streamed[i]));
      const head = source.placeOf(headMatrixId(source.spec));
      const buffers = plan.tokenBytes === 0 ? 0 : STREAM_BUFFERS * plan.bufferBytes;
      expect(plan.heldBytes).toBe(buffers + held + (plan.headParts ? 0 : head.bytes));
      // Parts of a head are read from whole pages on.
      const parts = sum(plan.headParts?.map(({ bytes }) => bytes) ?? []);
      expect(plan.tokenBytes).toBe(sum(blocks) - held + parts);
      for (const part of [...(plan.headParts ?? []), ...plan.blocks.filter((__, i) => plan.streamed[i])]) {
        expect((part?.offset ?? 1) % PAGE).toBe(0);
        expect(part?.bytes).toBeLessThanOrEqual(plan.bufferBytes);
      }
      expect(plan.tokenBytes).toBeLessThanOrEqual(before + 2 * plan.bufferBytes);
      before = plan.tokenBytes;
    }
    expect(planStream(source, least - 1)).toBeNull();
  });

  test("cuts a streamed head into its rows, in order and in turns with the blocks", () => {
    const source = placed({ blocks: 5, hiddenSize: 64, ffn: 100, vocabSize: 4003 });
    const plan = planStream(source, leastStreamBytes(source)) ?? expect.fail("no plan");
    const parts = plan.headParts ?? expect.fail("the head is held");
    expect((plan.streamed.filter(Boolean).length + parts.length) % 2).toBe(0);
    expect(parts[0].rowFrom).toBe(0);
    parts.slice(1).forEach(({ rowFrom }, i) => {
      expect(rowFrom).toBe(parts[i].rowTo);
    });
    expect(parts.at(-1)?.rowTo).toBe(4003);
    const { offset, bytes } = source.placeOf("head");
    const last = parts[parts.length - 1];
    expect(last.offset + last.bytes).toBe(offset + bytes);
    for (const part of parts) {
      const packed = CODECS[CODEC].packedBytes(part.rowTo - part.rowFrom, 64);
      expect(part.bytes - packed).toBeGreaterThanOrEqual(0);
      expect(part.bytes - packed).toBeLessThan(PAGE);
    }
  });

  test("spreads held blocks evenly, and an even number of others where the head is held", () => {
    const source = placed({ blocks: 9, hiddenSize: 64, ffn: 100, vocabSize: 60 });
    const block = planStream(source, Number.MAX_SAFE_INTEGER)?.blocks[0]?.bytes ?? expect.fail("no block");
    const head = source.placeOf("head").bytes;
    const plan = planStream(source, 2 * (block + PAGE) + head + 4 * block) ?? expect.fail("no plan");
    expect(plan.headParts).toBeNull();
    expect(plan.streamed).toEqual([true, true, false, true, true, false, true, true, false]);
  });
});
