import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { BenchDocument } from "../../src/bench/bench-result.ts";
import { STORIES_CASE } from "../runtime/goldens.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { HAS_FULL_DISK, needsFullDisk } from "../support/full-disk.ts";
import { commandLine, HAS_SCRIPT, layerwise, NOT_BUILT, needsBuild, needsScript, shell } from "./command-line.ts";

const LITTLE = ["--backend", "wasm", "--max-tokens", "12"];
const WORDS = ", there was a little girl named Lily";

describe.skipIf(NOT_BUILT !== null)(needsBuild("commands that run a model"), () => {
  test("run prints the text, and only that, on standard output", async () => {
    const { code, stdout, stderr } = await commandLine(["run", STORIES, "Once upon a time", ...LITTLE]);
    expect(stdout).toMatch(new RegExp(`^${WORDS}`));
    expect(stdout.length).toBeLessThan(60);
    expect(stderr).toBe("layerwise: ended by --max-tokens after 12 tokens\n");
    expect(code).toBe(0);
  });

  test("run - reads the prompt from standard input, without its last line end", async () => {
    const { stdout } = await commandLine(["run", STORIES, "-", ...LITTLE], "Once upon a time\n");
    expect(stdout).toMatch(new RegExp(`^${WORDS}`));
  });

  test("run says where a prompt spells the BOS that it gets", async () => {
    const noteOf = async (...args: string[]) => (await commandLine(["run", STORIES, ...args, ...LITTLE])).stderr;
    expect(await noteOf("<s>Once")).toContain("so it begins twice (--raw)");
    expect((await noteOf("<s>Once", "--raw")) + (await noteOf("Once"))).not.toContain("twice");
  });

  test("run - refuses what is not UTF-8", async () => {
    const { code, stderr } = await commandLine(["run", STORIES, "-", ...LITTLE], Uint8Array.of(79, 110, 255));
    expect(stderr).toBe(
      "layerwise: standard input: expected UTF-8 text, found other bytes (convert the file to UTF-8)\n",
    );
    expect(code).toBe(1);
  });

  test.skipIf(!HAS_FULL_DISK)(
    needsFullDisk("standard output on a full disk gives one line and exit status 1"),
    async () => {
      const { code, stderr } = await shell(`$LAYERWISE run ${STORIES} Once ${LITTLE.join(" ")} >/dev/full`);
      expect(stderr).toMatch(/^layerwise: standard output: cannot write: the disk is full$/m);
      expect(stderr).not.toMatch(/^ +at /m);
      expect(code).toBe(1);
    },
  );

  test("run --json is one document with the executor and the reason", async () => {
    const { stdout } = await commandLine(["run", STORIES, "Once upon a time", ...LITTLE, "--json", "--stop", " girl"]);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "checkpoint",
      text: ", there was a little",
      reason: "stop",
      stop: " girl",
      executor: { executor: "tfjs", backend: "wasm", reason: expect.any(String), threads: 1 },
    });
  });

  test.skipIf(!HAS_ADDON)(
    needsAddon("the native executor gives the same text as tfjs, for every KV type"),
    async () => {
      const run = async (...args: string[]) => {
        const line = ["run", STORIES, "Once upon a time", "--max-tokens", "12", "--json", ...args];
        return JSON.parse((await commandLine(line)).stdout);
      };
      const tfjs = await run("--backend", "wasm");
      for (const kv of ["f32", "f16", "q8"]) {
        const native = await run("--executor", "native", "--threads", "1", "--isa", "scalar", "--kv", kv);
        expect(native.text).toBe(tfjs.text);
        expect(native).toMatchObject({
          kvType: kv,
          executor: { executor: "native", backend: null, isa: "scalar", threads: 1, activations: "f32" },
        });
      }
      expect((await run("--backend", "wasm", "--kv", "q8")).text).toBe(tfjs.text);
    },
  );

  test("the same seed draws the same text", async () => {
    const args = ["run", STORIES, "Once", ...LITTLE, "--temperature", "1.2", "--top-p", "0.9", "--seed", "7"];
    const first = await commandLine(args);
    const second = await commandLine(args);
    expect(first.stdout).toBe(second.stdout);
    expect(first.code).toBe(0);
  });

  test("a reader that leaves early ends the run quietly", async () => {
    const { code, stdout, stderr } = await shell(
      `set -o pipefail; $LAYERWISE run ${STORIES} "Once upon a time" --backend wasm 2>/dev/null | head -c 5`,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: WORDS.slice(0, 5), stderr: "" });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends a run with exit status %i, its text kept", async (signal, status) => {
    const outcome = await layerwise(["run", STORIES, "Once upon a time", "--backend", "wasm"], {
      signal: { name: signal, stream: "stdout", after: "" },
    });
    expect(outcome.code).toBe(status);
    expect(outcome.stdout.length).toBeGreaterThan(0);
    expect(outcome.stderr).toMatch(/ended by a signal after \d+ tokens\nlayerwise: stopped\n$/);
  });

  test("chat takes each line of standard input as a turn", async () => {
    const input = "Once upon a time\n\nThe dog\n/reset\nOnce upon a time\n/quit\nnot read\n";
    const { code, stdout } = await commandLine(["chat", STORIES, "--raw", ...LITTLE, "--json"], input);
    const { turns } = JSON.parse(stdout);
    expect(turns.map((turn: { user: string }) => turn.user)).toEqual([
      "Once upon a time",
      "The dog",
      "Once upon a time",
    ]);
    expect(turns[0].text).toMatch(new RegExp(`^${WORDS}`));
    expect(turns[1].statistics.reusedTokens).toBeGreaterThan(12);
    expect(turns[2]).toMatchObject({ text: turns[0].text, statistics: { reusedTokens: 0 } });
    expect(code).toBe(0);
  });

  test("chat keeps a session in a file, and goes on from it", async () => {
    const file = path.join(mkdtempSync(path.join(os.tmpdir(), "layerwise-chat-")), "session.json");
    const chat = ["chat", STORIES, "--raw", ...LITTLE, "--session", file, "--json"];
    const first = await commandLine(chat, 'Once upon a time\n"""\nThe\ndog\n"""\n/help\n/save\n');
    expect(JSON.parse(first.stdout).turns.map(({ user }: { user: string }) => user)).toEqual([
      "Once upon a time",
      "The\ndog",
    ]);
    expect(first.stderr).toMatch(/\/reset[\s\S]*2 turns saved in /);
    await commandLine(chat, "And then\n");
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    expect(messages).toHaveLength(6);
    expect(messages[4]).toEqual({ role: "user", content: "And then" });
    await commandLine(chat, "/reset\n");
    expect(JSON.parse(readFileSync(file, "utf8")).messages).toEqual([]);
  });

  test("chat refuses a command that there is not", async () => {
    const { code, stderr } = await commandLine(["chat", STORIES, "--raw", ...LITTLE], "/rest\nnot read\n");
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("did you mean /reset?") });
  });

  test.skipIf(!HAS_SCRIPT)(
    needsScript("a turn that is too long does not end a conversation at a terminal"),
    async () => {
      const chat = `$LAYERWISE chat ${STORIES} --raw --backend wasm --max-tokens 4`;
      const { code, stdout } = await shell(
        `printf '%s\\n' ${"x".repeat(600)} "Once upon a time" /quit | script -qec "${chat}" /dev/null`,
      );
      expect(stdout).toMatch(/the model's context is 512 tokens \(shorten it, or \/reset\)[\s\S]*, there was a/);
      expect(code).toBe(0);
    },
  );

  test("eval of a checkpoint against itself diverges by nothing", async () => {
    const text = path.join(mkdtempSync(path.join(os.tmpdir(), "layerwise-cli-")), "text.txt");
    const { text: golden } = JSON.parse(readFileSync(STORIES_CASE.golden, "utf8"));
    writeFileSync(text, golden.seq0);
    const { code, stdout } = await commandLine([
      "eval",
      STORIES,
      "--text",
      text,
      "--reference",
      STORIES,
      "--window",
      "64",
      "--backend",
      "wasm",
      "--json",
    ]);
    const document = JSON.parse(stdout);
    expect(document.executor.backend).toBe("wasm");
    expect(document.result.divergence).toMatchObject({ mean: 0, max: 0, top1Agreement: 1 });
    expect(document.result.model.perplexity).toBeGreaterThan(1.5);
    expect(document.result.model.perplexity).toBeLessThan(8);
    expect(code).toBe(0);
  });

  test("bench measures each backend in a process of its own", async () => {
    const { code, stdout } = await layerwise([
      "bench",
      STORIES,
      "--backends",
      "cpu",
      "wasm",
      "--prompt-tokens",
      "8",
      "--generate-tokens",
      "3",
      "--repeats",
      "2",
      "--json",
    ]);
    const { results } = BenchDocument.parse(JSON.parse(stdout));
    expect(results.map((result) => result.executor.backend)).toEqual(["cpu", "wasm"]);
    for (const { promptTokensPerSecond, generateTokensPerSecond, peakRssBytes } of results) {
      expect(promptTokensPerSecond.median).toBeGreaterThan(0);
      expect(generateTokensPerSecond.repeats).toBe(2);
      expect(peakRssBytes).toBeGreaterThan(30e6);
    }
    expect(code).toBe(0);
  });
});
