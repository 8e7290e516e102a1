import { PassThrough } from "node:stream";
import { runCommandLine } from "../../src/cli/cli.ts";
import { reportFailure } from "../../src/cli/failure.ts";
import { Terminal } from "../../src/cli/terminal.ts";

/** What is done with changed files: a command line, or work of the library under a name. */
export type Check = readonly string[] | { readonly name: string; readonly run: () => Promise<unknown> };

/** How a check ended. */
export interface Ending {
  readonly code: number;
  readonly stderr: string;
  readonly ms: number;
}

/** A check for people, to be typed again. */
export function nameOf(check: Check): string {
  if ("name" in check) return check.name;
  const shown = check.map((arg) => (/^[\w./=-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`));
  return `layerwise ${shown.join(" ")}`;
}

/** Runs a check in this process, what it says on the standard streams kept. */
export async function runCheck(check: Check): Promise<Ending> {
  const texts = { stdout: "", stderr: "" };
  const { write: writeOut } = process.stdout;
  const { write: writeError } = process.stderr;
  const stdin = Object.getOwnPropertyDescriptor(process, "stdin");
  const began = performance.now();
  try {
    for (const name of ["stdout", "stderr"] as const) {
      process[name].write = ((text: string | Uint8Array) => {
        texts[name] += Buffer.from(text as Uint8Array).toString("utf8");
        return true;
      }) as typeof process.stdout.write;
    }
    Object.defineProperty(process, "stdin", { configurable: true, get: emptyInput });
    const code = await ("name" in check ? runWork(check.run) : runCommandLine(check));
    return { code, stderr: texts.stderr, ms: performance.now() - began };
  } finally {
    process.stdout.write = writeOut;
    process.stderr.write = writeError;
    if (stdin) Object.defineProperty(process, "stdin", stdin);
  }
}

/** As a command would end. */
async function runWork(run: () => Promise<unknown>): Promise<number> {
  const terminal = new Terminal({ json: false, ownsProcess: false });
  try {
    await run();
    return 0;
  } catch (error) {
    return reportFailure(error, terminal);
  } finally {
    terminal.close();
  }
}

function emptyInput(): PassThrough {
  const stream = new PassThrough();
  stream.end();
  return Object.assign(stream, { isTTY: false, fd: 0 });
}

/** Characters that would move a terminal's cursor, colour it, or break the line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/;
/** Longest line that people are shown. */
const MAX_LINE = 4000;

/** What is wrong with an ending; null where it is a result, or one line and status 1. */
export function faultOf({ code, stderr }: Ending): string | null {
  if (code !== 0 && code !== 1) return `status ${code}`;
  const lines = stderr.split("\n").filter((line) => line !== "");
  const strange = lines.find((line) => !line.startsWith("layerwise: "));
  if (strange !== undefined) return `a line that is none of ours: ${strange.slice(0, 100)}`;
  if (code === 1 && lines.length === 0) return "status 1 without a word";
  if (CONTROL.test(stderr)) return "control characters on standard error";
  const long = lines.find((line) => line.length > MAX_LINE);
  return long === undefined ? null : `a line of ${long.length} characters`;
}
