import path from "node:path";
import pc from "picocolors";
import { expect, test } from "vitest";
import { addExits } from "../../../src/artifact/exits/add.ts";
import { ExitTable } from "../../../src/artifact/exits/table.ts";
import { inspectArtifact } from "../../../src/cli/inspection.ts";
import { exitsText } from "../../../src/cli/text/exits-text.ts";
import { tinyContents, tinyTable } from "../../artifact/exits/tiny-exits.ts";
import { makeArtifact } from "../../artifact/make-artifact.ts";
import { tinySpec } from "../../artifact/tiny-source.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";

const plain = pc.createColors(false);

test("inspect prints an artifact's exits, and nothing of them without any", async () => {
  const base = temporaryFolder();
  const folder = path.join(base, "made");
  await makeArtifact(base, "made");
  const without = (await inspectArtifact(folder, plain)).lines.join("\n");
  expect(without).not.toMatch(/exit/);
  const spec = tinySpec(false);
  const table = tinyTable(spec);
  await addExits(folder, { table, contents: tinyContents(spec) });
  const { lines, document } = await inspectArtifact(folder, plain);
  const text = lines.join("\n");
  expect(text).toContain(exitsText(table, plain));
  expect(text).toMatch(/^after 1 blocks +adapter of rank 4 +/m);
  expect(text).toMatch(/^after 2 blocks +linear +/m);
  expect(text).toMatch(/early exits by entropy over 30 ids; trained on 4,000 tokens, seed 3, by test 1/);
  expect(text).toMatch(/^ +0\.80 +40\.0 % +80\.0 % ± 2\.0 % +3\.3 +1\.50 +2\.50$/m);
  expect(text).toMatch(/^ +0\.95 +40\.0 % +95\.0 % ± 2\.0 % +3\.3 +– +0\.250$/m);
  expect(text).toMatch(/exit heads: rows of the output head/);
  expect(document.exits).toEqual(table);
});

test("each head's own agreement stands beside the logit lens where it was measured", () => {
  const table = tinyTable(tinySpec(false));
  const heads = [
    { tokens: 900, agreement: 0.5, lensAgreement: 0.125 },
    { tokens: 900, agreement: 0.75, lensAgreement: 0.5 },
  ];
  const text = exitsText({ ...table, training: { ...table.training, heads } }, plain);
  expect(text).toMatch(/^exit +head +size +agrees +logit lens$/m);
  expect(text).toMatch(/^after 1 blocks .* 50\.0 % +12\.5 %$/m);
  expect(exitsText(table, plain)).not.toContain("logit lens");
  const one = { ...table, training: { ...table.training, heads: heads.slice(1) } };
  expect(ExitTable.safeParse(one).error?.issues).toMatchObject([{ path: ["training", "heads"] }]);
});
