import path from "node:path";
import { describe, expect, test } from "vitest";
import { HAS_ADDON } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { commandLine } from "./command-line.ts";

describe("inspect and plan", () => {
  test("inspect of a checkpoint: spec, memory sum, backend and why", async () => {
    const { stdout, code } = await commandLine(["inspect", STORIES, "--backend", "cpu", "--json"]);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      kind: "checkpoint",
      weightBytes: 4 * document.parameters,
      spec: { family: "llama", vocabSize: 512, hiddenSize: 64 },
      memory: { residency: "packed", contextTokens: 512 },
      executor: { executor: "tfjs", backend: "cpu", reason: "asked for by name" },
    });
    expect(code).toBe(0);
  });

  test("inspect says which executor runs here, and what the native engine has", async () => {
    const { stdout } = await commandLine(["inspect", STORIES, "--json"]);
    const { executor } = JSON.parse(stdout);
    expect(executor.executor).toBe(HAS_ADDON ? "native" : "tfjs");
    expect(executor.nativeMissing === null).toBe(HAS_ADDON);
    if (HAS_ADDON) expect(executor.isas.map((isa: { name: string }) => isa.name)).toContain(executor.isa);
    const { stdout: text } = await commandLine(["inspect", STORIES]);
    expect(text).toMatch(/^executor: (native|tfjs) \w+ \(.+\), \d+ threads, version /m);
    expect(text).toMatch(HAS_ADDON ? /^native instruction sets: scalar/m : /^native addon: missing: /m);
  });

  test("inspect of a safetensors file lists its tensors", async () => {
    const { stdout } = await commandLine(["inspect", path.join(STORIES, "model.safetensors"), "--json"]);
    const { tensors, bytes } = JSON.parse(stdout);
    const total = tensors.reduce((sum: number, tensor: { bytes: number }) => sum + tensor.bytes, 0);
    expect(total).toBeGreaterThan(1e6);
    expect(total).toBeLessThan(bytes);
  });

  test("plan without scores plans uniformly, says so, and fits", async () => {
    const { stdout, stderr, code } = await commandLine(["plan", STORIES, "--budget", "20 MiB", "--json"]);
    const { plan, range, budget } = JSON.parse(stdout);
    expect(stderr).toContain("no scores yet: planned by uniform instead of lsaq");
    expect(plan.allocator).toBe("uniform");
    expect(plan.memory.totalBytes).toBeLessThanOrEqual(budget.bytes);
    expect(budget.bytes).toBe(20 * 2 ** 20);
    expect(range.smallestBytes).toBeLessThan(range.largestBytes);
    expect(code).toBe(0);
  });

  test("plan --sweep gives ten budgets from the smallest to the full size", async () => {
    const { stdout } = await commandLine(["plan", STORIES, "--sweep", "--json"]);
    const { points, range } = JSON.parse(stdout);
    expect(points).toHaveLength(10);
    expect(points[0].budgetBytes).toBe(range.smallestBytes);
    expect(points[9].budgetBytes).toBe(range.largestBytes);
    for (const point of points) expect(point.totalBytes).toBeLessThanOrEqual(point.budgetBytes);
  });

  test("plan --csv is one line a unit under a heading", async () => {
    const { stdout } = await commandLine(["plan", STORIES, "--budget", "20 MiB", "--csv"]);
    const [heading, first, ...rest] = stdout.trimEnd().split("\n");
    expect(heading).toBe("unit,codec,bytes,rule");
    expect(first).toMatch(/^embedding,q8s-g32,\d+,$/);
    expect(rest).toHaveLength(5 * 7);
  });
});
