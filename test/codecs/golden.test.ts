import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import type { Codec, Quantized } from "../../src/codecs/codec.ts";
import { CODEC_IDS, CODECS } from "../../src/codecs/index.ts";
import { snapScales } from "../../src/codecs/two-level.ts";
import { Random } from "../../src/tensor/random.ts";
import { withinKept } from "./within-kept.ts";

/**
 * sha256 of one packed matrix of every codec, committed: any change of a byte of the format shows here. New codecs are
 * added by `LAYERWISE_WRITE_GOLDEN=1 npx vitest run test/codecs/golden.test.ts`; no other line may change.
 */
const GOLDEN = path.resolve("test/fixtures/codec-bytes.json");
const [ROWS, COLS] = [37, 211];

/** Uniform numbers: without logarithms they are the same on every machine. */
function numbersOf(codec: Codec): Quantized {
  const random = new Random(3).fork(codec.id);
  const uniform = (length: number, width: number) => Float32Array.from({ length }, () => width * (random.next() - 0.5));
  const [rows, cols] = [ROWS, COLS];
  if (codec.scheme === "float") return { kind: "float", rows, cols, values: uniform(rows * cols, 1) };
  const groups = codec.groupsPerRow(cols);
  const drawn = Uint8Array.from({ length: rows * cols }, () => random.nextInt(2 ** codec.bits));
  const codes = withinKept(codec, drawn, cols);
  const { scales, rowScales } = snapScales(codec, uniform(rows * groups, 0.1), groups);
  const minima = codec.levels ? null : snapScales(codec, uniform(rows * groups, 0.4), groups);
  const rest = { minima: minima?.scales ?? null, rowScales, rowMinima: minima?.rowScales ?? null };
  return { kind: "integer", rows, cols, codes, scales, ...rest };
}

it("every codec packs the bytes that it always has", () => {
  const hashes = Object.fromEntries(
    CODEC_IDS.map((id) => [
      id,
      createHash("sha256")
        .update(CODECS[id].pack(numbersOf(CODECS[id])))
        .digest("hex"),
    ]),
  );
  if (process.env.LAYERWISE_WRITE_GOLDEN) writeFileSync(GOLDEN, `${JSON.stringify(hashes, null, 2)}\n`);
  expect(hashes).toEqual(JSON.parse(readFileSync(GOLDEN, "utf8")));
});
