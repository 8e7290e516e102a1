import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { RandomTiles } from "../../src/bench/random-tiles.ts";
import { syntheticArtifact } from "../../src/bench/synthetic-artifact.ts";
import { SYNTHETIC_NAMES, syntheticSpec } from "../../src/bench/synthetic-shapes.ts";
import { kvBytesPerToken, weightBytesPerToken } from "../../src/bench/token-bytes.ts";
import { CODECS } from "../../src/codecs/index.ts";
import { Interrupted } from "../../src/errors.ts";
import { DecoderSpec, matricesOf } from "../../src/model/decoder-spec.ts";
import { tinySpec } from "../artifact/tiny-source.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

test.each([
  ["llama-1.1b", 1_100_048_384],
  ["llama-3.2-1b", 1_235_814_400],
] as const)("%s has the number of weights that its authors give", (name, published) => {
  const spec = DecoderSpec.parse(syntheticSpec(name));
  const weights = matricesOf(spec).reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  const norms = (2 * spec.blocks.length + 1) * spec.hiddenSize;
  expect(weights + norms).toBe(published);
  expect(SYNTHETIC_NAMES).toContain(name);
});

test.each(["q4s-g32", "q5a-g32", "q8s-row", "f16"] as const)(
  "random tiles of %s are a matrix of the wanted variance",
  (id) => {
    const [rows, cols] = [48, 128];
    const bytes = new RandomTiles(3).matrix("m", CODECS[id], { rows, cols });
    const values = CODECS[id].unpackRows({ rows, cols, bytes }, 0, rows);
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(variance * cols).toBeGreaterThan(0.8);
    expect(variance * cols).toBeLessThan(1.4);
    expect(new RandomTiles(3).matrix("m", CODECS[id], { rows, cols })).toEqual(bytes);
    expect(new RandomTiles(3).matrix("n", CODECS[id], { rows, cols })).not.toEqual(bytes);
    expect(() => new RandomTiles(3).matrix("m", CODECS[id], { rows: 47, cols })).toThrow(
      "m: 47 rows are no whole tiles",
    );
  },
);

test("a token reads every matrix but an embedding that is not the head, and the keys and values of a window", () => {
  const bytes = (spec: DecoderSpec) => new Map(matricesOf(spec).map(({ id }) => [id, 1000]));
  const spec = tinySpec(false);
  const inBlocks = matricesOf(spec).filter(({ block }) => block !== null).length;
  const vectors = weightBytesPerToken(spec, bytes(spec)) - 1000 * (inBlocks + 1);
  expect(vectors).toBeGreaterThan(0);
  const tied = tinySpec(true);
  expect(weightBytesPerToken(tied, bytes(tied))).toBe(1000 * (inBlocks + 1) + vectors - 4 * tied.vocabSize);
  // Three blocks with attention of 2 heads of 12 channels; one of them sees 100 positions.
  expect(kvBytesPerToken(spec, "f16", 50)).toBe(3 * 50 * 2 * 2 * 24);
  expect(kvBytesPerToken(spec, "f16", 150)).toBe((150 + 100 + 150) * 2 * 2 * 24);
  expect(kvBytesPerToken(spec, "q8", 1)).toBe(3 * 2 * 2 * 16);
});

/** The shape of llama-1.1b with two narrow blocks. */
function narrowSpec(): DecoderSpec {
  const spec = syntheticSpec("llama-1.1b");
  const linear = (rows: number, cols: number) => ({ rows, cols, bias: false });
  const norm = { ...spec.finalNorm, size: 64 };
  const blocks = spec.blocks.slice(0, 2).map((block) => ({
    ...block,
    attentionNorms: { pre: norm, post: null },
    mlpNorms: { pre: norm, post: null },
    attention: block.attention && {
      ...{ ...block.attention, heads: 1, kvHeads: 1, headDim: 64 },
      ...{ q: linear(64, 64), k: linear(64, 64), v: linear(64, 64), o: linear(64, 64) },
    },
    mlp: block.mlp && { ...block.mlp, gate: linear(96, 64), up: linear(96, 64), down: linear(64, 96) },
  }));
  return { ...spec, vocabSize: 160, hiddenSize: 64, finalNorm: norm, blocks };
}

test("a random artifact is whole, is made once, and a stopped run ends with the same bytes", async () => {
  const options = { shape: "llama-1.1b", codec: "q4s-g32", outerCodec: "q8s-g32", seed: 1 } as const;
  const [straight, stopped] = [temporaryFolder(), temporaryFolder()];
  const folder = await syntheticArtifact(straight, options, {}, narrowSpec());
  expect(await verifyArtifact(folder)).toEqual([]);
  const made = statSync(folder).ctimeMs;
  expect(await syntheticArtifact(straight, options, {}, narrowSpec())).toBe(folder);
  expect(statSync(folder).ctimeMs).toBe(made);
  const aborter = new AbortController();
  const onProgress = ({ done }: { done: number }) => {
    if (done === 10) aborter.abort();
  };
  const first = syntheticArtifact(stopped, options, { onProgress, signal: aborter.signal }, narrowSpec());
  await expect(first).rejects.toBeInstanceOf(Interrupted);
  const again = await syntheticArtifact(stopped, options, {}, narrowSpec());
  const [a, b] = [await openArtifact(folder), await openArtifact(again)];
  expect(b.manifestSha256).toBe(a.manifestSha256);
  expect((await a.readMatrix("blocks.1.mlp.down")).codec).toBe("q4s-g32");
  expect((await a.readMatrix("head")).codec).toBe("q8s-g32");
  await a.close();
  await b.close();
});
