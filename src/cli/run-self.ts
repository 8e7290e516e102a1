import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { Interrupted, UserError } from "../errors.ts";

/** Runs this program with other arguments and returns its standard output; its standard error passes through. */
export async function runSelf(args: readonly string[], signal: AbortSignal): Promise<string> {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1], ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code));
  });
  try {
    const [output, code] = await Promise.all([text(child.stdout), exited]);
    if (signal.aborted) throw new Interrupted("stopped");
    if (code !== 0) throw new UserError("CHILD", `layerwise ${args.join(" ")}: ended with status ${code}; see above`);
    return output;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
