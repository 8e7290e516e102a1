import path from "node:path";
import { expect, it } from "vitest";
import { addAdapter } from "../../src/artifact/adapter/add.ts";
import { bareSha256, makeBare } from "../../src/artifact/bare.ts";
import { addExits } from "../../src/artifact/exits/add.ts";
import { readManifest } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { randomParts } from "../support/adapters.ts";
import { tinyContents, tinyTable } from "./exits/tiny-exits.ts";
import { folderHashes, makeArtifact } from "./make-artifact.ts";
import { tinySpec } from "./tiny-source.ts";

const base = temporaryFolder();
const spec = tinySpec(false);

it("takes adapter and exits away to the very bytes from before, and names them all along", async () => {
  await makeArtifact(base, "model");
  const folder = path.join(base, "model");
  const before = folderHashes(folder);
  const { manifestSha256 } = await readManifest(folder);
  expect(await bareSha256(folder)).toBe(manifestSha256);
  await makeBare(folder);
  expect(folderHashes(folder)).toEqual(before);
  await addAdapter(folder, { parts: randomParts(spec, {}), dtype: "F16", origin: {} });
  expect(await bareSha256(folder)).toBe(manifestSha256);
  await addExits(folder, { table: tinyTable(spec), contents: tinyContents(spec) });
  expect(await bareSha256(folder)).toBe(manifestSha256);
  expect(await verifyArtifact(folder)).toEqual([]);
  await makeBare(folder);
  expect(folderHashes(folder)).toEqual(before);
});
