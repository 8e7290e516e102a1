import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { matricesOf } from "../../src/model/decoder-spec.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { plainRounding } from "../codecs/plain-rounding.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { tokenizerFolder, writerOptions } from "./make-artifact.ts";
import { readPlainly } from "./plain-reader.ts";
import { tinyParts, tinySource } from "./tiny-source.ts";

const CODECS = ["q4t-g32-s8", "q3t-g32", "q5t-row", "q2t-g64-s8", "q4a-g32-s8", "q6s-g64-s8"];

it("an artifact of table codecs and two-level scales is written, described, verified and read", async () => {
  const base = temporaryFolder();
  const settings = writerOptions(path.join(base, "made"), { codecs: CODECS });
  const writer = await ArtifactWriter.open(settings);
  await quantizeModel({
    source: tinySource(settings.spec),
    maths: plainMaths,
    quantizer: plainRounding,
    writer,
  });
  const { folder } = await writer.finish(tinyParts(base, tokenizerFolder(base)));
  const { codecs } = JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8"));
  expect(codecs["q2t-g64-s8"]).toEqual({
    bits: 2,
    group: 64,
    scheme: "table",
    scales: "two-level",
    levels: [-127, -43, 18, 89],
  });
  expect(codecs["q4a-g32-s8"]).toEqual({ bits: 4, group: 32, scheme: "asymmetric", scales: "two-level" });
  expect(Object.keys(codecs["q5t-row"])).toEqual(["bits", "group", "scheme", "levels"]);

  const plain = readPlainly(folder);
  const artifact = await openArtifact(folder);
  for (const { id, rows } of matricesOf(settings.spec)) {
    expect(await artifact.readRows(id, 0, rows)).toEqual(plain.get(id)?.map((x) => x + 0));
  }
  await artifact.close();
  expect(await verifyArtifact(folder)).toEqual([]);
});
