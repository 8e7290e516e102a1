import { spawn } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { HAS_ADDON } from "../runtime/native/addon-state.ts";
import { NOT_BUILT, needsBuild } from "./command-line.ts";

const TERMINAL = pathToFileURL(path.resolve("dist/cli/terminal.js")).href;

/** A command in whose work JavaScript never comes to see a signal. */
const BUSY = `
import { Terminal } from ${JSON.stringify(TERMINAL)};
new Terminal({ json: false, ownsProcess: true }).takeSignals({ resumable: process.argv.includes("resumable") });
process.stderr.write("busy\\n");
for (;;);`;

interface Stop {
  readonly name: NodeJS.Signals;
  readonly code: number;
  readonly said: string;
  readonly resumable?: boolean;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
  /** From the first signal to the end. */
  readonly ms: number;
}

/** Runs the busy command and sends it a signal so many times. */
function stopBusy(
  name: NodeJS.Signals,
  { times = 1, resumable = false, native = "" }: { times?: number; resumable?: boolean; native?: string } = {},
): Promise<Ended> {
  const args = ["--input-type=module", "--eval", BUSY, resumable ? "resumable" : "once"];
  const env = { ...process.env, LAYERWISE_NATIVE: native };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  let sentMs = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    if (sentMs > 0 || !said.includes("busy\n")) return;
    sentMs = performance.now();
    for (let i = 0; i < times; i++) setTimeout(() => child.kill(name), 100 * i);
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, said, ms: performance.now() - sentMs }));
  });
}

describe.skipIf(NOT_BUILT)(needsBuild("sweep-unbounded: signals end synchronous work within two seconds"), () => {
  test.skipIf(!HAS_ADDON).concurrent.each<Stop>([
    { name: "SIGTERM", code: 143, said: "busy\nlayerwise: stopped\n" },
    { name: "SIGINT", code: 130, said: "busy\nlayerwise: stopped\n" },
    {
      ...{ name: "SIGTERM", code: 75, resumable: true },
      said: "busy\nlayerwise: stopped; run the same command again to continue\n",
    },
  ])("%o", async ({ name, code, said, ...options }) => {
    const ended = await stopBusy(name, options);
    expect(ended).toMatchObject({ code, said });
    expect(ended.ms).toBeLessThan(2000);
  });

  test.skipIf(!HAS_ADDON)("the second at once", async () => {
    const ended = await stopBusy("SIGTERM", { times: 2 });
    expect(ended.code).toBe(143);
    expect(ended.ms).toBeLessThan(1000);
  });

  test("without the addon the first at once, as the system does it", async () => {
    const ended = await stopBusy("SIGTERM", { native: "off" });
    expect(ended).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(ended.ms).toBeLessThan(1000);
  });
});
