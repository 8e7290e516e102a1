// npm run check:native-sanitized [test files]: compiles a second addon with AddressSanitizer and
// UndefinedBehaviorSanitizer and runs the native tests on it. Any report ends with exit status 1. Memory that is still
// held when the process ends is not looked for (detect_leaks=0): Node.js itself leaves plenty.
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const native = path.join(root, "src", "native");
/** Links to the sources and a build of their own. Two levels below the root, as binding.gyp expects. */
const folder = path.join(root, "outputs", "native-sanitized");
const binary = path.join(folder, "build", "Release", "layerwise_native.node");
const reports = path.join(folder, "reports");
const SANITIZERS = "address,undefined";
const TESTS = ["test/native", "test/runtime/native"];

const say = (text) => process.stderr.write(`check-sanitized: ${text}\n`);

function fail(text) {
  say(text);
  process.exit(1);
}

/** Runs a command with its output shown. */
function run(command, args, options) {
  const { status, signal, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (error) fail(`${command}: ${error.message}`);
  return status ?? `signal ${signal}`;
}

/** Path of a library of the compiler, null where it has none. */
function compilerLibrary(name) {
  const { stdout, status } = spawnSync(process.env.CXX ?? "g++", [`-print-file-name=${name}`], { encoding: "utf8" });
  const file = stdout?.trim();
  return status === 0 && path.isAbsolute(file) && existsSync(file) ? file : null;
}

function build() {
  mkdirSync(folder, { recursive: true });
  for (const name of ["addon", "engine", "kernels", "offline", "addon.gypi", "binding.gyp", "list-sources.cjs"]) {
    const link = path.join(folder, name);
    if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(path.join(native, name), link);
  }
  const gyp = path.join(root, "node_modules", "node-gyp", "bin", "node-gyp.js");
  const prefix = process.env.npm_config_nodedir ?? path.dirname(path.dirname(process.execPath));
  const headers = existsSync(path.join(prefix, "include", "node", "node_api.h")) ? [`--nodedir=${prefix}`] : [];
  const options = { cwd: folder, stdio: ["ignore", "ignore", "inherit"] };
  say("compiling");
  for (const step of [
    ["configure", ...headers, "--", `-Dsanitize=${SANITIZERS}`],
    ["build", "-j", "2", ...headers],
  ]) {
    const status = run(process.execPath, [gyp, "--silent", ...step], options);
    if (status !== 0) fail(`node-gyp ${step[0]} failed (${status})`);
  }
}

function test(libraries, files) {
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  const log = path.join(reports, "report");
  const env = {
    ...process.env,
    LAYERWISE_NATIVE: binary,
    LD_PRELOAD: libraries.join(" "),
    // SIGBUS is left to the engine, whose tests raise it too; where nobody takes it, it ends the process, and its test.
    ASAN_OPTIONS: `detect_leaks=0:handle_sigbus=0:halt_on_error=1:exitcode=86:log_path=${log}`,
    UBSAN_OPTIONS: `halt_on_error=1:print_stacktrace=1:exitcode=86:log_path=${log}`,
  };
  // The tests skip what they cannot load: here it must load.
  if (run(process.execPath, ["-e", `require(${JSON.stringify(binary)})`], { env }) !== 0)
    fail("the addon does not load");
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const patient = ["--testTimeout=600000", "--hookTimeout=600000", "--passWithNoTests"];
  const status = ["quick", "slow"]
    .map((mode) => run(process.execPath, [vitest, "run", "--mode", mode, ...patient, ...files], { cwd: root, env }))
    .find((one) => one !== 0);
  const found = readdirSync(reports);
  for (const name of found) process.stderr.write(readFileSync(path.join(reports, name), "utf8"));
  if (found.length > 0) fail(`${found.length} report${found.length === 1 ? "" : "s"}, see above`);
  if (status !== undefined) fail(`the tests failed (${status})`);
}

if (process.platform !== "linux")
  fail("runs on Linux only, where the sanitizers' library can be loaded before Node.js");
const libraries = ["libasan.so", "libubsan.so"].map(compilerLibrary);
if (libraries.includes(null)) fail("g++ with libasan and libubsan is needed (Debian: g++)");
build();
test(libraries, process.argv.length > 2 ? process.argv.slice(2) : TESTS);
say("no reports");
