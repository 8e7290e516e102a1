import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { memoryOfExits } from "../../src/artifact/exits/add.ts";
import { readManifest } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { withFolder } from "./command.ts";
import { bytesOf, exitsOptions, expectSameAfterStop, stepsOf } from "./exits-run.ts";

describe("compress with exits", () => {
  it("plans their bytes before anything is trained, writes the trunk without them, and adds them", () =>
    withFolder(async (out) => {
      const planned = await compress(await exitsOptions(out, { until: "artifact" }));
      expect(planned.exits).toBeNull();
      const trunk = await readManifest(planned.artifact ?? "");
      expect(trunk.exits).toBeNull();
      expect(trunk.provenance.recipe).not.toHaveProperty("exits");
      expect(trunk.plan.memory).toEqual(memoryOfExits(trunk, null));
      expect(await verifyArtifact(planned.artifact ?? "")).toEqual([]);

      const { exits, plan } = await compress(await exitsOptions(out));
      const { plan: shipped, exits: table } = await readManifest(planned.artifact ?? "");
      expect(shipped.memory).toEqual(plan?.memory);
      expect(shipped.memory.totalBytes).toBeGreaterThan(trunk.plan.memory.totalBytes);
      expect(table?.exits.map(({ blocks, rank }) => [blocks, rank])).toEqual([
        [2, 4],
        [4, 4],
      ]);
      expect(table?.vocabulary).toEqual({ ids: 128 });
      expect(table?.training.text?.data).toBe("calibration");
      expect(exits?.table).toEqual(table);
      expect(exits?.heads.map(({ blocks }) => blocks)).toEqual([2, 4]);
      for (const { before, after } of exits?.heads ?? []) expect(after.loss).toBeLessThanOrEqual(before.loss);
      expect(exits?.states?.bytes).toBeGreaterThan(1400 * 3 * 64 * 2);
      expect(await verifyArtifact(planned.artifact ?? "")).toEqual([]);
    }));

  it("repeats nothing when nothing changed, and trains anew on the same trunk where their settings did", () =>
    withFolder(async (out) => {
      expect(await stepsOf(out)).toEqual(["weights", "plan", "artifact", "exit-text", "exits"]);
      const weights = bytesOf(out, "weights-00001-of-00001.safetensors");
      const first = bytesOf(out, "exits.safetensors");
      expect(await stepsOf(out)).toEqual([]);
      const [states] = readdirSync(path.join(out, "exit-states"));
      expect(await stepsOf(out, { exits: { confidence: "margin" } })).toEqual(["exits"]);
      expect(bytesOf(out, "exits.safetensors")).toBe(first);
      expect((await readManifest(path.join(out, "artifact"))).exits?.confidence).toBe("margin");
      expect(readdirSync(path.join(out, "exit-states"))).toEqual([states]);
      expect(await stepsOf(out, { exits: { after: [3], count: undefined } })).toEqual(["plan", "artifact", "exits"]);
      expect(readdirSync(path.join(out, "exit-states"))).not.toEqual([states]);
      expect(readdirSync(path.join(out, "exit-states"))).toHaveLength(1);
      expect(bytesOf(out, "weights-00001-of-00001.safetensors")).toBe(weights);
      rmSync(path.join(out, "artifact"), { recursive: true });
      expect(await stepsOf(out, { exits: { after: [3], count: undefined } })).toEqual(["artifact", "exits"]);
    }));

  it("stopped in training and run again gives the same bytes", () =>
    withFolder(async (out) => {
      await stepsOf(out);
      await expectSameAfterStop(out, ({ stage, done }) => stage === "training exits" && done === 3);
    }));

  it("gives each device's artifact exits of its own", () =>
    withFolder(async (out) => {
      await stepsOf(out, { device: "small" });
      expect(await stepsOf(out, { device: "large", budget: "3.1 MiB" })).toEqual([
        ...["plan-large", "artifact-large", "exit-text-large", "exits-large"],
      ]);
      expect(await stepsOf(out, { device: "small" })).toEqual([]);
      const made = await Promise.all(
        ["small", "large"].map((name) => readManifest(path.join(out, `artifact-${name}`))),
      );
      expect(made.map(({ exits }) => exits?.exits.length)).toEqual([2, 2]);
    }));

  it("measures where to put them, on text that the model writes itself", () =>
    withFolder(async (out) => {
      const exits = { after: "auto", data: "self", tokens: 640 };
      expect(await stepsOf(out, { exits })).toEqual([
        ...["weights", "plan", "artifact", "exit-text", "exit-points", "exits"],
      ]);
      const { exits: table } = await readManifest(path.join(out, "artifact"));
      expect(table?.training.text?.data).toBe("self");
      expect(table?.exits).toHaveLength(2);
      expect(await stepsOf(out, { exits })).toEqual([]);
    }));

  it("refuses exits that cannot be before anything is read", () =>
    withFolder(async (out) => {
      const refused = async (exits: object) => {
        const error = await compress(await exitsOptions(out, { exits })).catch((found: unknown) => found);
        expect(readdirSync(out)).toEqual([]);
        return error;
      };
      expect(await refused({ count: 5 })).toMatchObject({ code: "EXIT_POINTS" });
      expect(await refused({ rank: 65 })).toMatchObject({ code: "EXIT_RANK" });
      expect(await refused({ tokens: 200 })).toMatchObject({
        code: "EXIT_TOKENS",
        message: "exits.tokens: expected at least 256, 4 sequences of 64, found 200",
      });
    }));
});
