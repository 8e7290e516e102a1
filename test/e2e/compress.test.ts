import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { evaluate } from "../../src/evaluation/evaluate.ts";
import { cutWindows } from "../../src/evaluation/windows.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { loadTokenizer } from "../../src/model/tokenizer.ts";
import type { CompressOptions } from "../../src/pipeline/compress.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe } from "../../src/pipeline/recipe.ts";
import type { StepReport } from "../../src/pipeline/run-folder.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { EXAMPLE, withFolder } from "./command.ts";

async function options(out: string, changes: Partial<CompressOptions> = {}): Promise<CompressOptions> {
  const loaded = await loadRecipe("smoke");
  return {
    checkpoint: EXAMPLE,
    out,
    budget: "2.95 MiB",
    contextTokens: 128,
    kvType: null,
    residency: null,
    budgetCovers: null,
    executor: "auto",
    backend: "auto",
    recipe: loaded.recipe,
    calibration: calibrationFiles(loaded),
    ...changes,
  };
}

/** sha256 of every file of a folder, by name. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder).sort();
  return Object.fromEntries(
    files.map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(path.join(folder, file)))
        .digest("hex"),
    ]),
  );
}

describe("compress", () => {
  it("makes an artifact within the budget, to the byte as planned, that verifies", () =>
    withFolder(async (out) => {
      const result = await compress(await options(out));
      expect(result.artifact).toBe(path.join(out, "artifact"));
      const artifact = await openArtifact(path.join(out, "artifact"));
      const { memory } = artifact;
      await artifact.close();
      expect(memory.totalBytes).toBeLessThanOrEqual(2.95 * 2 ** 20);
      const files = readdirSync(path.join(out, "artifact")).filter((file) => file.endsWith(".safetensors"));
      const bytes = files.reduce((sum, file) => sum + statSync(path.join(out, "artifact", file)).size, 0);
      expect(bytes).toBe(memory.fileBytes);
      expect(await verifyArtifact(path.join(out, "artifact"))).toEqual([]);
    }));

  it("repeats nothing when nothing changed, and only plan and artifact under another budget", () =>
    withFolder(async (out) => {
      const run = async (changes: Partial<CompressOptions>) => {
        const steps: StepReport[] = [];
        await compress(await options(out, { ...changes, onStep: (report) => steps.push(report) }));
        return steps.filter(({ cached }) => !cached).map(({ name }) => name);
      };
      expect(await run({})).toEqual(["weights", "calibration", "scores", "plan", "artifact"]);
      const first = contents(path.join(out, "artifact"));
      expect(await run({})).toEqual([]);
      expect(await run({ budget: "3 MiB" })).toEqual(["plan", "artifact"]);
      expect(contents(path.join(out, "artifact"))).not.toEqual(first);
      expect(await run({ budget: "2.95 MiB" })).toEqual(["plan", "artifact"]);
      expect(contents(path.join(out, "artifact"))).toEqual(first);
      rmSync(path.join(out, "artifact"), { recursive: true });
      expect(await run({})).toEqual(["artifact"]);
      writeFileSync(path.join(out, "scores.json"), "{");
      expect(await run({})).toEqual(["scores"]);
    }));

  it("continues after a stop at any point and ends with the same bytes", () =>
    withFolder(async (folder) => {
      const undisturbed = path.join(folder, "undisturbed");
      await compress(await options(undisturbed));
      const stopped = path.join(folder, "stopped");
      let stops = 0;
      for (let reports = 2; ; reports += 5) {
        const controller = new AbortController();
        let left = reports;
        const onProgress = () => {
          if (--left === 0) controller.abort();
        };
        const attempt = compress(await options(stopped, { signal: controller.signal, onProgress }));
        const finished = await attempt.then(
          () => true,
          (error: unknown) => {
            expect(error).toMatchObject({ name: "Interrupted" });
            return false;
          },
        );
        if (finished) break;
        stops++;
      }
      expect(stops).toBeGreaterThan(2);
      expect(contents(path.join(stopped, "artifact"))).toEqual(contents(path.join(undisturbed, "artifact")));
    }));

  it("keeps held-out perplexity within 5 % of the checkpoint's", () =>
    withFolder(async (out) => {
      await compress(await options(out));
      const tokenizer = await loadTokenizer(EXAMPLE);
      const text = readFileSync("calibration-data/tinystories-heldout.txt", "utf8").slice(0, 20_000);
      const windows = cutWindows(tokenizer.encode(text), { windowTokens: 128, maxWindows: 16 });
      const artifact = await openArtifact(path.join(out, "artifact"));
      const checkpoint = await openCheckpoint(EXAMPLE);
      const executor = await createTfjsExecutor(artifact);
      const reference = await createTfjsExecutor(checkpoint, { residency: "resident" });
      const result = await evaluate({ executor, reference, windows });
      await executor.dispose();
      await reference.dispose();
      await artifact.close();
      await checkpoint.close();
      expect(result.model.perplexity / (result.reference?.perplexity ?? 0)).toBeLessThan(1.05);
      expect(result.model.perplexity / (result.reference?.perplexity ?? 0)).toBeGreaterThan(0.95);
    }));
});
