import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { codecCostText, guardText } from "../../src/cli/text/guard-text.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { commandLine } from "./command-line.ts";

const EXAMPLE = path.resolve("examples/stories260k");

describe("compress for several devices", () => {
  const folder = temporaryFolder();
  const device = (name: string, memory: string) => {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `name: x\nmemory: ${memory}\nreserve: none\ncontext: 64\nbudgetCovers: model\n`);
    return file;
  };
  const compressFor = (files: readonly string[], out: string) =>
    commandLine([
      "compress",
      EXAMPLE,
      "--recipe",
      "smoke",
      ...files.flatMap((file) => ["--device", file]),
      "--out",
      out,
    ]);

  test("a budget that the last one does not have is refused before anything is made", async () => {
    const out = path.join(folder, "run");
    const { code, stderr } = await compressFor([device("large.yaml", "64 MiB"), device("small.yaml", "1 MiB")], out);
    expect(stderr).toMatch(/^layerwise: budget .*1.00 MiB.*: expected at least/);
    expect(code).toBe(1);
    expect(existsSync(out)).toBe(false);
  });

  test("two of one name are refused: one artifact would replace the other", async () => {
    const files = [device("a/board.yaml", "64 MiB"), device("b/Board.yaml", "32 MiB")];
    const { code, stderr } = await compressFor(files, path.join(folder, "twice"));
    expect(stderr).toContain("expected a name of its own, found 2 devices whose artifact would be artifact-board");
    expect(code).toBe(1);
  });
});

describe("what is said of the guard and of the library", () => {
  const plan = { mean: 0.0021394, meanError: 0.00003 };
  const uniform = { codec: "q4t-g32-s8", totalBytes: 3 * 2 ** 20, divergence: { mean: 0.0052277, meanError: 0.00008 } };

  test("both figures, and which plan ships", () => {
    expect(guardText({ tokens: 4096, plan, uniform, ships: "plan" }, null)).toBe(
      "guard: KL divergence 0.002139 ± 0.00003 nats on 4,096 held-out tokens; the best uniform plan (q4t-g32-s8, 3.00 MiB) has 0.005228 ± 0.00008: the plan ships",
    );
    expect(guardText({ tokens: 64, plan, uniform, ships: "uniform" }, null)).toMatch(
      /: the uniform plan ships instead of the plan$/,
    );
    const whole = { totalBytes: 2 ** 20, divergence: { mean: 0.002, meanError: 0.0001 } };
    expect(guardText({ tokens: 64, plan, uniform: null, whole, ships: "whole" }, null)).toMatch(
      /; the best plan without pruning \(1.00 MiB\) has 0.002 ± 0.0001: the plan without pruning ships instead/,
    );
    expect(guardText({ tokens: 64, plan, uniform: null, ships: "plan" }, null)).toMatch(
      /; no uniform plan takes as few bytes$/,
    );
  });

  test("how far the prediction of the plan that ships is from what the guard measured", () => {
    const last = (text: string) => text.split("\n").at(-1);
    expect(last(guardText({ tokens: 4096, plan, uniform, ships: "plan" }, 0.001))).toBe(
      "prediction: 0.001 nats predicted, 0.002139 measured (2.1 times as much): it is of the weights alone, activations in 8 bits and the KV type add to it",
    );
    expect(last(guardText({ tokens: 4096, plan, uniform, ships: "uniform" }, 0.0026))).toContain("(2.0 times as much)");
    expect(last(guardText({ tokens: 4096, plan, uniform, ships: "plan" }, 0))).toContain(
      "0 nats predicted, 0.002139 measured: it",
    );
  });

  test("seconds and bytes of a codec", () => {
    expect(codecCostText({ codec: "q4t-g32-s8", matrices: 36, seconds: 61.6, bytes: 2 ** 20 })).toBe(
      "q4t-g32-s8: 36 matrices packed in 1 min 2 s, 1.00 MiB on disk",
    );
  });
});
