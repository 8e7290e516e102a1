import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Generation } from "../../../src/decoding/generate.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { architectureCases, HAS_SHARED, readGolden } from "../../runtime/goldens.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { ALWAYS, continueWith, dssd, loadExits, NEVER, openExecutor, SOMETIMES } from "./exit-cases.ts";

/** A prompt that ends a little before the window is full, or the length at which a longrope model changes its factors. */
function promptLength({ spec }: WeightSource, golden: number): number {
  for (const { attention } of spec.blocks) {
    if (attention?.window) return attention.window - 6;
    const scaling = attention?.rope?.scaling;
    if (scaling?.kind === "longrope") return scaling.originalMaxPositions - 9;
  }
  return golden;
}

describe.skipIf(!HAS_ADDON || !HAS_SHARED)(needsAddon("DSSD on native (skipped without ../shared)"), () => {
  describe.each(architectureCases())("$name", (architecture) => {
    let source: WeightSource;
    let executor: AnyExecutor;
    let prompt: number[];
    let plain: Generation;

    beforeAll(async () => {
      source = await openCheckpoint(architecture.folder);
      executor = await openExecutor(source, "native");
      const start = readGolden(architecture).greedy.prompt;
      prompt = Array.from({ length: promptLength(source, start.length) }, (_, i) => start[i % start.length]);
      const { generation, session } = await continueWith(executor, prompt, { kind: "plain" });
      plain = generation;
      session.close();
    });
    afterAll(async () => {
      await executor.dispose();
      await source.close();
    });

    it.each(["lens", "random"] as const)("gives plain decoding's text, %s heads", async (heads) => {
      const exits = await loadExits(executor, source, { heads, seed: 3 });
      for (const epsilon of [NEVER, SOMETIMES, ALWAYS]) {
        for (const draftLimit of [1, 3, 32]) {
          const { generation, session } = await continueWith(executor, prompt, dssd(exits, epsilon, draftLimit));
          expect(generation.ids).toEqual(plain.ids);
          expect(generation.reason).toBe(plain.reason);
          const { drafted, accepted, depths } = generation.decoding;
          if (epsilon === NEVER) expect(drafted).toBe(0);
          if (epsilon === ALWAYS) expect(drafted).toBeGreaterThan(0);
          const early = depths.filter(({ blocks }) => blocks < executor.spec.blocks.length);
          expect(early.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(accepted);
          expect(session.length).toBe(prompt.length + plain.ids.length - 1);
          session.close();
        }
      }
    });
  });
});
