import path from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON } from "../native/engines.ts";
import { HAS_SMOLLM2, needsSmollm2, SMOLLM2 } from "../support/checkpoints.ts";
import { NOT_BUILT } from "./command-line.ts";
import { peakAndPlan } from "./process-peak.ts";

const folder = temporaryFolder();
const CAN = HAS_SMOLLM2 && HAS_ADDON && NOT_BUILT === null && process.platform === "linux";

describe.skipIf(!CAN)(needsSmollm2("a budget of the process, for a model with a large tokenizer"), () => {
  it.each([128, 1024])(
    "is kept by a run that fills a context of %d tokens",
    async (contextTokens) => {
      const how = ["--executor", "native"];
      const out = path.join(folder, String(contextTokens));
      const { peak, memory } = await peakAndPlan({ checkpoint: SMOLLM2, out, contextTokens, how });
      expect(peak).toBeLessThanOrEqual(memory.totalBytes);
      expect(peak).toBeGreaterThan(0.75 * memory.totalBytes);
    },
    300_000,
  );
});
