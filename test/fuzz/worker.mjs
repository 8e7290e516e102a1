// Changes files of one subject and does with them what people do, case after case, and tells the parent process after
// each. Started by check-fuzz.mjs: worker.mjs SUBJECT SEED FOLDER [keep]. The code under test is src/, by way of the
// test runner's Vite.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createServer, createServerModuleRunner } from "vite";

const server = await createServer({
  ...{ configFile: false, appType: "custom", logLevel: "error", optimizeDeps: { noDiscovery: true } },
  // Node has no `using` yet.
  oxc: { target: "es2022" },
  server: { middlewareMode: true, watch: null, ws: false },
});
// Not runnerImport: it closes its server, and what the code imports later would not be found.
const runner = createServerModuleRunner(server.environments.ssr, { hmr: false });
const load = (file) => runner.import(fileURLToPath(new URL(file, import.meta.url)));
const { prepare, runCase } = await load("subject.ts");
const { SUBJECTS } = await load("subjects.ts");

const [name, seed, folder, keep] = process.argv.slice(2);
const tell = (message) => new Promise((resolve) => process.send(message, resolve));

/** Forgets the peak of memory so far; only Linux can. */
function forgetPeak() {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // The peak of the whole process is told then.
  }
}

/** Most resident memory since it was forgotten. */
function peakBytes() {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

const subject = await prepare(
  SUBJECTS.find((one) => one.name === name),
  folder,
);
process.on("message", async (number) => {
  forgetPeak();
  try {
    const result = await runCase(subject, { seed: Number(seed), number, keep: keep === "keep" });
    await tell({ number, result: { ...result, peakBytes: peakBytes() } });
  } catch (error) {
    // Of the fuzzer itself, or thrown where nobody could catch it.
    await tell({ number, thrown: error instanceof Error ? error.stack : String(error) });
  }
});
await tell({ ready: true });
