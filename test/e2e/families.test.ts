import { cpSync, mkdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { commandLine } from "../cli/command-line.ts";
import { TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { writeByteTokenizer } from "../support/byte-tokenizer.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";
import { withFolder } from "./command.ts";

/** Those that the words of the decoder were found by; each tiny checkpoint has 128 positions or more and 256 tokens. */
const FAMILIES = ["gemma3", "olmo2", "smollm3", "granite", "starcoder2", "llama-yarn-mscale"];
const CONTEXT = ["--context", "96"];

/** Runs a command that must succeed, and gives its document. */
async function documentOf(...args: string[]) {
  const { code, stdout, stderr } = await commandLine([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe.each(FAMILIES)("%s from checkpoint to text", (family) => {
  it("plan, compress --recipe fast, and run on every executor", { timeout: 600_000 }, () =>
    withFolder(async (folder) => {
      const checkpoint = path.join(folder, "checkpoint");
      mkdirSync(checkpoint);
      for (const file of ["config.json", "model.safetensors"])
        cpSync(path.join(ARCHITECTURES, family, file), path.join(checkpoint, file));
      writeByteTokenizer(checkpoint);

      const { range } = await documentOf("plan", checkpoint, ...CONTEXT, "--budget", "100 MiB");
      const budget = Math.floor((range.smallestBytes + range.largestBytes) / 2);
      const { plan } = await documentOf("plan", checkpoint, ...CONTEXT, "--budget", `${budget} B`);
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(budget);

      const out = path.join(folder, "run");
      const made = await documentOf(
        ...["compress", checkpoint, "--recipe", "fast", "--budget", `${budget} B`, "--out", out, ...CONTEXT],
        ...["--calibration", "calibration-data/pride-and-prejudice.txt", "--calibration-tokens", "4096"],
      );
      expect(made.plan.allocator).toBe("optimal");
      expect(made.plan.memory.totalBytes).toBeLessThanOrEqual(budget);
      expect(await documentOf("verify", out)).toMatchObject({ ok: true, findings: [] });

      const texts: string[] = [];
      for (const executor of TEST_EXECUTORS) {
        // In one arithmetic: random weights have many logits that lie close together.
        const f32 = executor === "native" ? ["--activations", "f32"] : [];
        const ask = ["run", out, "Once upon a time", "--max-tokens", "12", "--executor", executor];
        const answer = await documentOf(...ask, ...f32);
        expect(answer.executor.executor).toBe(executor);
        texts.push(answer.text);
      }
      expect(texts[0].length).toBeGreaterThan(0);
      expect(new Set(texts).size).toBe(1);
    }),
  );
});
