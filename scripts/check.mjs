// npm run check: setup (which compiles the native engine), formatter and linter, unused exports, type check of the
// tests, the quick tests and the slow ones. Leaves the test runner's reports in outputs/ (the last line of .ci/run is
// read from them), and ends with the list of what was skipped.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";

/** Report of each run of the tests. */
const REPORTS = { quick: "outputs/test-report.json", slow: "outputs/test-report-slow.json" };

/** Runs a command; on failure ends this one with the same status. */
function must(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (error || status !== 0) {
    process.stderr.write(`check: ${[command, ...args].join(" ")} failed\n`);
    process.exit(status || 1);
  }
}

/** Says in one line where the native tests will be skipped: nothing that was left out should look tested. */
function sayNative() {
  const failure = "src/native/build/failure.txt";
  if (process.env.LAYERWISE_NATIVE === "off")
    process.stderr.write("check: native tests skipped, LAYERWISE_NATIVE=off\n");
  else if (existsSync(failure)) process.stderr.write(`check: native tests skipped, ${readFileSync(failure, "utf8")}`);
}

mkdirSync("outputs", { recursive: true });
for (const report of Object.values(REPORTS)) rmSync(report, { force: true });
must(process.execPath, ["scripts/setup.mjs"]);
sayNative();
must("npx", ["--no-install", "biome", "check", "--error-on-warnings"]);
must("npx", ["--no-install", "knip"]);
must("npx", ["--no-install", "tsc", "-p", "tsconfig.test.json"]);
for (const [mode, report] of Object.entries(REPORTS)) {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  must("npx", ["--no-install", "vitest", "run", "--mode", mode, ...reporters]);
}
must(process.execPath, ["scripts/list-skips.mjs", ...Object.values(REPORTS)]);
