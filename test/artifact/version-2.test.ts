import { cpSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { addExits } from "../../src/artifact/exits/add.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { tinyContents, tinyTable } from "./exits/tiny-exits.ts";
import { tinySpec } from "./tiny-source.ts";

/**
 * Manifests of the golden artifact in format version 2, before and after it got exits; its other files never changed.
 */
const OLD = path.resolve("test/fixtures/artifact-golden-v2");
const NEW = path.resolve("test/fixtures/artifact-golden");
const base = temporaryFolder();
let made = "";

beforeEach(({ task }) => {
  made = path.join(base, task.id);
  cpSync(NEW, made, { recursive: true });
  cpSync(path.join(OLD, "manifest.json"), path.join(made, "manifest.json"));
});

describe("an artifact of format version 2", () => {
  it("opens, in today's words, with the same weights", async () => {
    const [old, now] = [await openArtifact(made), await openArtifact(NEW)];
    expect(old.spec).toEqual(tinySpec(true));
    expect(old.spec).toEqual(now.spec);
    expect(await old.readMatrix("blocks.1.mlp.down")).toEqual(await now.readMatrix("blocks.1.mlp.down"));
    expect(await old.readVector("blocks.0.attn.qNorm.weight")).toEqual(
      await now.readVector("blocks.0.attn.qNorm.weight"),
    );
    await old.close();
    await now.close();
  });

  it("passes verification", async () => {
    expect(await verifyArtifact(made)).toEqual([]);
  });

  it("gets exits as it always did, to the byte, and stays of its version", async () => {
    const spec = tinySpec(true);
    await addExits(made, { table: tinyTable(spec), contents: tinyContents(spec) });
    const [found, expected] = [path.join(made, "manifest.json"), path.join(OLD, "manifest-with-exits.json")];
    expect(readFileSync(found, "utf8")).toBe(readFileSync(expected, "utf8"));
  });
});
