import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { vi } from "vitest";
import { runCommandLine } from "../../src/cli/cli.ts";

/** The built program: `npm run check` builds before it tests. */
export const MAIN = path.resolve("dist/cli/main.js");

/** Why tests of the command line cannot run, or null. */
export const NOT_BUILT = existsSync(MAIN) ? null : "dist/cli/main.js is absent: build first";

/** Name of a suite that needs the built program: where it is skipped the one line that says why. */
export function needsBuild(name: string): string {
  return NOT_BUILT === null ? name : `${name} (skipped: ${NOT_BUILT})`;
}

/** Of util-linux: gives a program a terminal. */
export const HAS_SCRIPT = process.platform === "linux" && existsSync("/usr/bin/script");

/** Name of a test that needs a terminal. */
export function needsScript(name: string): string {
  return HAS_SCRIPT ? name : `${name} (skipped: /usr/bin/script is absent)`;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandLineOptions {
  /** Text for standard input; without it standard input is empty. */
  readonly input?: string;
  readonly cwd?: string;
  /** Sent once, as soon as the output on that stream holds the text. */
  readonly signal?: { readonly name: NodeJS.Signals; readonly stream: "stdout" | "stderr"; readonly after: string };
}

/** Runs `layerwise` with arguments to its end. */
export function layerwise(args: readonly string[], options: CommandLineOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: options.cwd, env: { ...process.env, NO_COLOR: "" } });
  const collected = { stdout: "", stderr: "" };
  let pending = options.signal;
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      collected[name] += text;
      if (pending?.stream !== name || !collected[name].includes(pending.after)) return;
      child.kill(pending.name);
      pending = undefined;
    });
  }
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...collected }));
  });
}

/** A shell command in which `$LAYERWISE` is the program. */
export function shell(script: string): Promise<Outcome> {
  const env = { ...process.env, LAYERWISE: `${process.execPath} ${MAIN}` };
  const child = spawn("bash", ["-c", script], { env, stdio: ["ignore", "pipe", "pipe"] });
  const collected = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    collected.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    collected.stderr += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...collected })));
}

/** The same as a process would do, without its start; `input` is what standard input holds. */
export async function commandLine(args: readonly string[], input: string | Uint8Array = ""): Promise<Outcome> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      texts[name] += String(text);
      return true;
    }),
  );
  const stdin = vi.spyOn(process, "stdin", "get").mockReturnValue(inputOf(input));
  const code = await runCommandLine(args).finally(() => {
    for (const spy of [...spies, stdin]) spy.mockRestore();
  });
  return { code, ...texts };
}

/** Standard input that holds some bytes and ends. */
function inputOf(bytes: string | Uint8Array): typeof process.stdin {
  const stream = new PassThrough();
  stream.end(bytes);
  return Object.assign(stream, { isTTY: false, fd: 0 }) as unknown as typeof process.stdin;
}
