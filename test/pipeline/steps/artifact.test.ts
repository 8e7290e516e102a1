import path from "node:path";
import { expect, test } from "vitest";
import { addAdapter } from "../../../src/artifact/adapter/add.ts";
import { addExits } from "../../../src/artifact/exits/add.ts";
import { sameArtifact } from "../../../src/pipeline/steps/artifact.ts";
import { tinyContents, tinyTable } from "../../artifact/exits/tiny-exits.ts";
import { makeArtifact } from "../../artifact/make-artifact.ts";
import { tinySpec } from "../../artifact/tiny-source.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts } from "../../support/adapters.ts";

test("an artifact that got an adapter and exits is still the one that the step wrote, and another is not", async () => {
  const base = temporaryFolder();
  const folder = path.join(base, "made");
  const { manifestSha256 } = await makeArtifact(base, "made");
  const spec = tinySpec(false);
  await addAdapter(folder, { parts: randomParts(spec, {}), dtype: "F16", origin: {} });
  expect(await sameArtifact(folder, { manifestSha256 })).toBeNull();
  const { manifestSha256: withExits } = await addExits(folder, {
    table: tinyTable(spec),
    contents: tinyContents(spec),
  });
  expect(withExits).not.toBe(manifestSha256);
  expect(await sameArtifact(folder, { manifestSha256 })).toBeNull();
  expect(await sameArtifact(folder, { manifestSha256: withExits })).toMatch(/another artifact/);
  expect(await sameArtifact(path.join(base, "none"), { manifestSha256 })).toMatch(/not there/);
});
