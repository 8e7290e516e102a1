// npm run check: setup (which compiles the native engine), formatter and linter, type check of the tests, all quick tests.
// Leaves the test runner's report in outputs/test-report.json (the last line of .ci/run is read from it).
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";

const REPORT = "outputs/test-report.json";

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
rmSync(REPORT, { force: true });
must(process.execPath, ["scripts/setup.mjs"]);
sayNative();
must("npx", ["--no-install", "biome", "check", "--error-on-warnings"]);
must("npx", ["--no-install", "tsc", "-p", "tsconfig.test.json"]);
must("npx", ["--no-install", "vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${REPORT}`]);
