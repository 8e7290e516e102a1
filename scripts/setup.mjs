// npm run setup: installs, makes the real tfjs-node work and compiles the native engine where this machine can, and
// builds. Skips what is already done. Runs before any `npm install`, so it imports nothing but Node.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const say = (text) => process.stderr.write(`setup: ${text}\n`);

/** Runs a command with its output shown; returns its exit status (127 when it is not there). */
function run(command, args) {
  const result = spawnSync(command, args, { stdio: ["ignore", 2, 2], env: process.env });
  return result.error ? 127 : (result.status ?? 1);
}

function fail(text) {
  say(`ERROR: ${text}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: 20.19 or newer is needed`);

/** The stamp holds the hash of the lock file that node_modules was installed from. */
function installPackages() {
  const stamp = "node_modules/.layerwise-lock";
  const lock = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  say("installing packages (npm ci)");
  // --ignore-scripts: tfjs-node's own install script downloads from a host that many machines cannot reach, and npm
  // would then drop the package without a word.
  if (run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]) !== 0) fail("npm ci failed, see above");
  writeFileSync(stamp, lock);
}

/** True when tfjs-node computes a product: that `require` succeeds proves nothing. */
function tfjsNodeWorks() {
  const probe = `const tf = require("@tensorflow/tfjs-node");
    const y = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync();
    process.exit(tf.getBackend() === "tensorflow" && y[0] === 11 ? 0 : 1);`;
  const result = spawnSync(process.execPath, ["-e", probe], {
    stdio: "ignore",
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  return result.status === 0;
}

function installTfjsNode() {
  if (tfjsNodeWorks()) return;
  say("making @tensorflow/tfjs-node work (compiles its addon against libtensorflow)");
  const status = run("bash", ["scripts/install-tfjs-node.sh", root]);
  if (status === 0) return;
  say("tfjs-node is not available on this machine (reason above); layerwise runs on the slower wasm backend instead");
}

/** An extra: without it everything runs on TensorFlow.js, slower. */
function buildNative() {
  if (process.env.LAYERWISE_NATIVE === "off") return;
  if (run(process.execPath, ["scripts/build-native.mjs", "--quiet"]) === 0) return;
  say("layerwise runs without its native engine (reason above); npm run build:native shows the whole output");
}

/** Newest change of a TypeScript file below a folder, in ms. */
function newest(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .reduce(
      (latest, entry) => Math.max(latest, statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
      0,
    );
}

function build() {
  const stamp = "dist/.built";
  const source = Math.max(newest("src"), statSync("tsconfig.json").mtimeMs, statSync("package-lock.json").mtimeMs);
  if (existsSync(stamp) && statSync(stamp).mtimeMs > source) return;
  say("building (tsc)");
  if (run("npm", ["run", "--silent", "build"]) !== 0) fail("the build failed, see above");
  mkdirSync("dist", { recursive: true });
  writeFileSync(stamp, "");
}

installPackages();
installTfjsNode();
buildNative();
build();
