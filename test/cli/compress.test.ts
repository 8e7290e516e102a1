import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { HAS_ADDON } from "../runtime/native/addon-state.ts";
import { NEOX } from "../support/fixtures.ts";
import { commandLine, layerwise, NOT_BUILT, needsBuild } from "./command-line.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-cli-"));
const compressInto = (out: string) => [
  "compress",
  NEOX,
  "--budget",
  "9.5 MiB",
  "--context",
  "256",
  "--recipe",
  "smoke",
  "--out",
  out,
];

describe.skipIf(NOT_BUILT !== null)(needsBuild("the pipeline"), () => {
  afterAll(() => rmSync(folder, { recursive: true }));
  const out = path.join(folder, "run");

  test("a stopped compress exits with status 75, and the same command ends it", async () => {
    const signal = { name: "SIGTERM", stream: "stderr", after: "weights: done" } as const;
    const stopped = await layerwise(compressInto(out), { signal });
    expect(stopped.stderr).toMatch(/layerwise: stopped; run the same command again to continue\n$/);
    expect(stopped.code).toBe(75);
    expect(readdirSync(out)).not.toContain("artifact");
    const { code, stdout, stderr } = await commandLine([...compressInto(out), "--json"]);
    const { plan, artifact, steps, executor } = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(stderr).toContain("layerwise: weights: already there\n");
    expect(artifact).toBe(path.join(out, "artifact"));
    expect(plan.memory.totalBytes).toBeLessThanOrEqual(9.5 * 2 ** 20);
    expect(steps.at(-1)).toMatchObject({ name: "artifact", cached: false });
    const kind = HAS_ADDON ? "native" : "tfjs";
    expect(executor).toMatchObject({ executor: kind, residency: "streamed", reason: expect.any(String) });
  }, 120_000);

  test("calibration sequences longer than the model was made for are refused before anything is read", async () => {
    const recipe = path.join(folder, "long.yaml");
    const text = path.resolve("calibration-data/pride-and-prejudice.txt");
    writeFileSync(
      recipe,
      `name: long\ncalibration: { sources: [{ path: ${text}, tokens: 1024 }], sequenceTokens: 512 }\n`,
    );
    const { code, stderr } = await commandLine(["score", NEOX, "--recipe", recipe, "--out", path.join(folder, "long")]);
    expect(stderr).toMatch(
      /^layerwise: calibration: sequenceTokens: expected at most the model's 256 positions, found 512/,
    );
    expect(code).toBe(1);
    expect(readdirSync(folder)).not.toContain("long");
  });

  test("inspect says what the files hold; the sum of its file items is their size", async () => {
    const { stdout } = await commandLine(["inspect", out, "--backend", "wasm", "--json"]);
    const { kind, memory, provenance } = JSON.parse(stdout);
    const items: { where: string; bytes: number }[] = memory.items;
    const weights = readdirSync(path.join(out, "artifact")).filter((file) => file.endsWith(".safetensors"));
    const bytes = weights.reduce((sum, file) => sum + statSync(path.join(out, "artifact", file)).size, 0);
    expect(kind).toBe("artifact");
    expect(items.filter((item) => item.where === "file").reduce((sum, item) => sum + item.bytes, 0)).toBe(bytes);
    expect(provenance).toMatchObject({ scorer: "cosine", quantizer: "nearest" });
  });

  test("plan on the run folder ranks by its scores and changes nothing, unless it is told to save", async () => {
    const before = readFileSync(path.join(out, "plan.json"), "utf8");
    const { stdout } = await commandLine(["plan", out, "--budget", "10 MiB", "--json"]);
    expect(JSON.parse(stdout).plan).toMatchObject({ allocator: "lsaq", scorer: "cosine", budgetBytes: 10 * 2 ** 20 });
    expect(readFileSync(path.join(out, "plan.json"), "utf8")).toBe(before);
    const saved = await commandLine(["plan", out, "--budget", "10 MiB", "--json", "--save"]);
    expect(saved.code).toBe(0);
    expect(JSON.parse(readFileSync(path.join(out, "plan.json"), "utf8")).value).toEqual(JSON.parse(stdout).plan);
  });

  test("quantize packs the plan that was saved", async () => {
    const { stdout } = await commandLine(["quantize", out, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ budgetBytes: 10 * 2 ** 20, artifact: path.join(out, "artifact") });
  });

  test("the artifact runs, and a prompt beyond its context is refused", async () => {
    const args = ["--backend", "wasm", "--max-tokens", "8"];
    const { stdout } = await commandLine(["run", out, "Once upon a time", ...args, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ kind: "artifact", contextTokens: 256, kvType: "f16", reason: "length" });
    const refused = await commandLine(["run", out, "one two three ".repeat(100), ...args]);
    expect(refused.stderr).toMatch(/prompt of [\d,]+ tokens and 8 to generate: the model's context is 256 tokens/);
    expect(refused.code).toBe(1);
  });

  test("verify finds nothing, and finds a changed byte", async () => {
    const whole = await commandLine(["verify", out, "--json"]);
    expect(JSON.parse(whole.stdout)).toMatchObject({ ok: true, findings: [] });
    const file = path.join(out, "artifact", "weights-00001-of-00001.safetensors");
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(file, bytes);
    const { code, stdout, stderr } = await commandLine(["verify", out, "--json"]);
    expect(JSON.parse(stdout).ok).toBe(false);
    expect(JSON.parse(stdout).findings.length).toBeGreaterThan(0);
    expect(stderr).toMatch(/^layerwise: .*artifact: \d+ findings? .*\n$/);
    expect(code).toBe(1);
  });
});
