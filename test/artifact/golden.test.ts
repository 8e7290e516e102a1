import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../src/artifact/plan.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { tokenizerFolder } from "./make-artifact.ts";
import { readPlainly } from "./plain-reader.ts";
import { tinyParts, tinyPlan, tinySource, tinySpec } from "./tiny-source.ts";

/**
 * The artifact of the tiny model, committed: any change of a single byte of the format or of the quantizer shows here.
 * After a change on purpose: `LAYERWISE_WRITE_GOLDEN=1 npx vitest run test/artifact/golden.test.ts`, and say so in
 * docs/decisions.
 */
const GOLDEN = path.resolve("test/fixtures/artifact-golden");
const base = temporaryFolder();
const made = path.join(base, "made");

/** The workspace is what the executors of the day need, no part of the format: left out here. */
function withoutWorkspace(plan: Plan): Plan {
  const items = plan.memory.items.filter(({ key }) => key !== "workspace");
  const modelBytes = items.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...plan, memory: { ...plan.memory, items, modelBytes, totalBytes: modelBytes } };
}

beforeAll(async () => {
  const spec = tinySpec(true);
  const writer = await ArtifactWriter.open({
    folder: made,
    key: "golden",
    spec,
    plan: withoutWorkspace(tinyPlan(spec)),
  });
  await quantizeModel({ source: tinySource(spec), maths: plainMaths, quantizer: "nearest", writer });
  await writer.finish(tinyParts(base, tokenizerFolder(base)));
  if (process.env.LAYERWISE_WRITE_GOLDEN) {
    rmSync(GOLDEN, { recursive: true, force: true });
    cpSync(made, GOLDEN, { recursive: true });
  }
});

describe("the golden artifact", () => {
  it("is written again byte by byte", () => {
    const names = readdirSync(GOLDEN).sort();
    expect(readdirSync(made).sort()).toEqual(names);
    for (const name of names) {
      const [golden, found] = [GOLDEN, made].map((folder) => readFileSync(path.join(folder, name)));
      const first = golden.findIndex((byte, i) => byte !== found[i]);
      expect([name, found.length, first]).toEqual([name, golden.length, -1]);
    }
  });

  it("is read as a plain reader of the documented format reads it", async () => {
    const plain = readPlainly(GOLDEN);
    const artifact = await openArtifact(GOLDEN);
    const { spec } = artifact;
    expect(plain.size).toBe(matricesOf(spec).length + vectorsOf(spec).length);
    for (const { id, rows } of matricesOf(spec)) {
      expect(await artifact.readRows(id, 0, rows)).toEqual(plain.get(id)?.map((x) => x + 0));
    }
    for (const { id } of vectorsOf(spec)) expect(await artifact.readVector(id)).toEqual(plain.get(id));
    await artifact.close();
  });

  it("holds the weights of the tiny model", async () => {
    const plain = readPlainly(GOLDEN);
    const source = tinySource(tinySpec(true));
    for (const { id, rows } of matricesOf(source.spec)) {
      const weights = await source.readRows(id, 0, rows);
      const found = plain.get(id) ?? new Float32Array();
      const error = weights.reduce((sum, x, i) => sum + (x - found[i]) ** 2, 0);
      // 2 bits is the worst of the codecs in it.
      expect(error / weights.reduce((sum, x) => sum + x * x, 0)).toBeLessThan(0.2);
    }
  });
});
