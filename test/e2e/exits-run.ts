import { readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { readManifest } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { Interrupted } from "../../src/errors.ts";
import type { CompressOptions } from "../../src/pipeline/compress.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe, Recipe } from "../../src/pipeline/recipe.ts";
import type { StepReport } from "../../src/pipeline/run-folder.ts";
import type { Progress } from "../../src/progress.ts";
import { EXAMPLE } from "./command.ts";

const EXITS = { count: 2, rank: 4, vocabulary: 128, tokens: 1600 };

/** The smoke recipe with a uniform plan and early exits. */
export async function exitsOptions(
  out: string,
  { exits = {}, ...changes }: Partial<CompressOptions> & { readonly exits?: object | null } = {},
): Promise<CompressOptions> {
  const loaded = await loadRecipe("smoke");
  const recipe = Recipe.parse({
    ...loaded.recipe,
    plan: { allocator: "uniform", codecs: ["q8s-g32", "q4s-g32"] },
    ...(exits && { exits: { ...EXITS, ...exits } }),
  });
  return {
    ...{ checkpoint: EXAMPLE, out, contextTokens: 128, kvType: null, residency: null, budgetCovers: null },
    ...{ budget: "3 MiB", executor: "auto", backend: "auto", threads: 1, recipe },
    ...{ calibration: calibrationFiles(loaded), ...changes },
  };
}

/** Names of the steps that computed something. */
export async function stepsOf(out: string, changes: Parameters<typeof exitsOptions>[1] = {}): Promise<string[]> {
  const steps: StepReport[] = [];
  await compress(await exitsOptions(out, { ...changes, onStep: (step) => steps.push(step) }));
  return steps.filter(({ cached }) => !cached).map(({ name }) => name);
}

/** A file of the artifact. */
export const bytesOf = (out: string, name: string) => readFileSync(path.join(out, "artifact", name)).toString("hex");

/** Trains anew, stopped at a moment, and goes on: the bytes must be those of the run that is there. */
export async function expectSameAfterStop(out: string, isMoment: (progress: Progress) => boolean): Promise<void> {
  const contents = () => ["exits.safetensors", "manifest.json"].map((name) => bytesOf(out, name));
  const whole = contents();
  for (const name of readdirSync(out)) {
    if (/^(artifact|exit)/.test(name)) rmSync(path.join(out, name), { recursive: true });
  }
  const stop = new AbortController();
  const onProgress = (progress: Progress) => {
    if (isMoment(progress)) stop.abort();
  };
  const stopped = compress(await exitsOptions(out, { signal: stop.signal, onProgress }));
  await expect(stopped).rejects.toThrow(Interrupted);
  const artifact = path.join(out, "artifact");
  expect(await verifyArtifact(artifact)).toEqual([]);
  expect((await readManifest(artifact)).exits).toBeNull();
  expect(await stepsOf(out)).toContain("exits");
  expect(contents()).toEqual(whole);
}
