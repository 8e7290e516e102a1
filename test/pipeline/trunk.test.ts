import path from "node:path";
import { describe, expect, it } from "vitest";
import { addExits, trunkSha256 } from "../../src/artifact/exits/add.ts";
import { openTrunk } from "../../src/pipeline/trunk.ts";
import { tinyContents, tinyTable } from "../artifact/exits/tiny-exits.ts";
import { makeArtifact } from "../artifact/make-artifact.ts";
import { tinySpec } from "../artifact/tiny-source.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { TEST_EXECUTORS } from "../runtime/test-executors.ts";

const base = temporaryFolder();

describe("openTrunk", () => {
  it("runs the model as it will run: a backend by name trains, and runs it only on TensorFlow.js", async () => {
    await makeArtifact(base, "made");
    const folder = path.join(base, "made");
    const infoOf = async (executor: "auto" | "tfjs") => {
      const trunk = await openTrunk(folder, { executor, backend: "cpu", threads: 1 });
      return trunk.use(async ({ info }) => [trunk.executor, info.executor, info.backend]);
    };
    const [fastest] = TEST_EXECUTORS;
    expect(await infoOf("auto")).toEqual([fastest, fastest, fastest === "tfjs" ? "cpu" : null]);
    expect(await infoOf("tfjs")).toEqual(["tfjs", "tfjs", "cpu"]);
  });

  it("has the same name with exits as without, and none where there is no artifact", async () => {
    const folder = path.join(base, "named");
    const { manifestSha256 } = await makeArtifact(base, "named");
    const options = { executor: "tfjs", backend: "cpu", threads: 1 } as const;
    expect((await openTrunk(folder, options)).sha256).toBe(manifestSha256);
    const spec = tinySpec(false);
    await addExits(folder, { table: tinyTable(spec), contents: tinyContents(spec) });
    expect((await openTrunk(folder, options)).sha256).toBe(manifestSha256);
    expect(await trunkSha256(folder)).toBe(manifestSha256);
    await expect(openTrunk(path.join(base, "none"), options)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });
});
