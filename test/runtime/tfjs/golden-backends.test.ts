import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { createTfjsExecutor } from "../../../src/runtime/tfjs/executor.ts";
import { argmax, feed, logitsOf, maxDifference } from "../compare.ts";
import { architectureCases, readGolden } from "../goldens.ts";

/** One of each family: what the slower backends compute in a few seconds. */
const FAMILIES = [
  "llama3-rope",
  "mistral-window",
  "qwen3",
  "neox-parallel",
  "phi",
  "phi3-longrope",
  "gemma3",
  "olmo2",
  "smollm3",
  "granite",
  "starcoder2",
];
const cases = architectureCases().filter(({ name }) => FAMILIES.includes(name));

describe.each(["wasm", "cpu"] as const)("goldens on %s", (backend) => {
  it("finds every family", () => expect(cases).toHaveLength(FAMILIES.length));

  it.each(cases)("$name: logits and greedy tokens", async (goldenCase) => {
    const golden = readGolden(goldenCase);
    const source = await openCheckpoint(goldenCase.folder);
    const executor = await createTfjsExecutor(source, { backend, residency: "resident" });
    expect(executor.info.backend).toBe(backend);
    const logits = await logitsOf(executor, golden.input_ids[0]);
    expect(maxDifference(logits, golden.logits_seq0.flat())).toBeLessThanOrEqual(2e-4);
    const { prompt, continuation } = golden.greedy;
    const cache = executor.createCache({ maxTokens: prompt.length + continuation.length, kvType: "f32" });
    const ids = [...prompt];
    let last = await feed(executor, cache, ids);
    for (let i = 0; i < 6; i++) {
      ids.push(argmax(last));
      last = await feed(executor, cache, ids.slice(-1));
    }
    expect(ids.slice(prompt.length)).toEqual(continuation.slice(0, 6));
    await executor.dispose();
    await source.close();
  });
});
