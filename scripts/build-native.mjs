// npm run build:native: compiles the native addon in src/native/build. Does nothing where it is newer than its sources.
// Quiet unless it fails; the reason then stays in build/failure.txt, for `layerwise inspect`.
//   --force     compiles everything anew
//   --quiet     does not show what the compiler said
//   --prebuild  also copies the addon to src/native/prebuilds/<platform>-<arch>, where packages carry it
import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, "src", "native");
const binary = path.join(folder, "build", "Release", "layerwise_native.node");
const kernelTests = path.join(root, "test", "native", "addon", "kernels.cpp");
const failureFile = path.join(folder, "build", "failure.txt");

const say = (text) => process.stderr.write(`build-native: ${text}\n`);

/** Files that the addon is made from, and the one of the kernels' tests beside it. */
function sources() {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(cpp|h|gypi?)$/.test(file) && !/^(build|prebuilds)\b/.test(file))
    .map((file) => path.join(folder, file));
  return [...files, path.join(root, "package.json"), ...(existsSync(kernelTests) ? [kernelTests] : [])];
}

function upToDate() {
  if (!existsSync(binary) || existsSync(failureFile)) return false;
  const built = statSync(binary).mtimeMs;
  return sources().every((file) => statSync(file).mtimeMs <= built);
}

/** Our own node-gyp, or the one that npm brings along where development packages are left out. */
function nodeGyp() {
  for (const place of [root, path.dirname(process.env.npm_execpath ?? root)]) {
    try {
      return createRequire(path.join(place, "package.json")).resolve("node-gyp/bin/node-gyp.js");
    } catch {
      // The next place.
    }
  }
  return null;
}

/** Headers beside this Node.js, so that nothing is downloaded; node-gyp fetches them where there are none. */
function headers() {
  const prefix = process.env.npm_config_nodedir ?? path.dirname(path.dirname(process.execPath));
  return existsSync(path.join(prefix, "include", "node", "node_api.h")) ? [`--nodedir=${prefix}`] : [];
}

/** What a machine may lack, as node-gyp, make and the shell say it, and in plain words. */
const LACKS = [
  [/find Python/, "Python 3 is missing, which node-gyp needs"],
  [/not found: make/, "make is missing (Debian: build-essential)"],
  [
    /(g\+\+|c\+\+|cc)\S*: (command )?not found|(g\+\+|c\+\+): No such file|Error 127/,
    "a C++ compiler is missing (Debian: build-essential)",
  ],
  [/find VS|Visual Studio/, "Visual Studio's C++ compiler is missing"],
  [/xcode-select|No Xcode/, "Xcode's command line tools are missing: run xcode-select --install"],
  [
    /ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|bad (status|download)/,
    "Node.js's headers could not be downloaded: set npm_config_nodedir",
  ],
];

/** One line that says what went wrong in a long output. */
function reasonOf(output) {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const lack = LACKS.find(([pattern]) => lines.some((line) => pattern.test(line)));
  if (lack) return lack[1];
  const line =
    lines.find((text) => /\berror: |undefined reference/.test(text)) ?? lines.find((text) => /Error/.test(text));
  return (line ?? lines.at(-1) ?? "node-gyp said nothing").replace(/^gyp ERR! (stack )?/, "").trim();
}

/**
 * Leaves the reason for the loader and ends; what the compiler said is shown, unless the addon is only an extra
 * (setup).
 */
function fail(reason, output = "") {
  mkdirSync(path.dirname(failureFile), { recursive: true });
  writeFileSync(failureFile, `${reason}\n`);
  if (!process.argv.includes("--quiet")) process.stderr.write(output);
  say(`the native addon could not be built: ${reason}`);
  process.exit(1);
}

/** Runs a step of node-gyp with all of its output in one file, in the order in which it came. */
function gyp(program, args) {
  const log = path.join(mkdtempSync(path.join(tmpdir(), "layerwise-build-")), "log");
  const file = openSync(log, "w");
  const { status, error } = spawnSync(process.execPath, [program, ...args, ...headers()], {
    cwd: folder,
    stdio: ["ignore", file, file],
  });
  closeSync(file);
  const output = readFileSync(log, "utf8");
  rmSync(path.dirname(log), { recursive: true });
  if (error || status !== 0) fail(error ? error.message : reasonOf(output), output);
  return output;
}

/** A library may link though symbols are missing, and fail at the first call: every symbol must be there at once. */
function tryToLoad() {
  const { status, signal, stderr } = spawnSync(process.execPath, ["-e", `require(${JSON.stringify(binary)})`], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, LD_BIND_NOW: "1" },
  });
  if (status === 0) return;
  const line = stderr.split("\n").find((text) => /^\w*Error\b/.test(text)) ?? `exit status ${status ?? signal}`;
  renameSync(binary, `${binary}.broken`);
  fail(`it was compiled but does not load: ${line}`);
}

function build() {
  const program = nodeGyp();
  if (!program) fail("node-gyp is not installed: run npm ci first");
  say("compiling the native addon (a minute or two the first time)");
  if (process.argv.includes("--force")) gyp(program, ["clean"]);
  gyp(program, ["configure"]);
  // Two at a time: each of the kernels' files takes much memory.
  gyp(program, ["build", "-j", "2"]);
  tryToLoad();
  rmSync(failureFile, { force: true });
  // Sources that were only touched leave the binary as it is; its date says that it was looked at.
  const now = new Date();
  utimesSync(binary, now, now);
}

/** The names that node-gyp-build looks for. Without a C library's name it would be taken for one that fits all. */
function prebuild() {
  const glibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  const tags = process.platform === "linux" ? (glibc ? ".glibc" : ".musl") : "";
  const target = path.join(folder, "prebuilds", `${process.platform}-${process.arch}`, `layerwise.napi${tags}.node`);
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(binary, `${target}.partial`);
  renameSync(`${target}.partial`, target);
  say(`wrote ${path.relative(root, target)}`);
}

if (process.argv.includes("--force") || !upToDate()) build();
if (process.argv.includes("--prebuild")) prebuild();
