// One turn of each side in a process of its own: tokens/s of a prompt, or of generation after a prompt.
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { layerwise } from "../../scripts/results/common.mjs";

const BUILD_SCRIPT = "test/peers/build-llama-cpp.sh";
const NODE_MODULE = "test/peers/node_modules/node-llama-cpp";
const run = promisify(execFile);

/**
 * A measurement: `promptTokens` alone where `generateTokens` is 0, else that many tokens generated after the prompt;
 * `repeats` in one process, after a warm-up.
 */
export async function runOurs({ artifact }, { threads, promptTokens, generateTokens, repeats }) {
  const { document } = await layerwise(
    ...["bench", artifact, "--executor", "native", "--threads", String(threads)],
    ...["--prompt-tokens", String(promptTokens), "--generate-tokens", String(Math.max(2, generateTokens + 1))],
    ...["--repeats", String(repeats), "--warmup", "1"],
  );
  const [result] = document.results;
  const speed = generateTokens === 0 ? result.promptTokensPerSecond : result.generateTokensPerSecond;
  return { tokensPerSecond: speed.median, result };
}

/** Builds of llama.cpp: the native one (LLAMA_CPP_BIN, else built here), and node-llama-cpp's where it is installed. */
export function findPeers() {
  const bin = process.env.LLAMA_CPP_BIN ?? buildNative();
  const peers = [{ name: "llama.cpp, built here", run: (subject, test) => runLlamaBench(bin, subject, test), bin }];
  if (existsSync(NODE_MODULE)) peers.push({ name: "node-llama-cpp, prebuilt", run: runNodeLlama, bin: null });
  else process.stderr.write("node-llama-cpp is not installed (npm install --prefix test/peers): left out\n");
  return peers;
}

function buildNative() {
  return execFileSync("bash", [BUILD_SCRIPT], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}

async function runLlamaBench(bin, { gguf }, { threads, promptTokens, generateTokens, repeats }) {
  const what =
    generateTokens === 0
      ? ["-p", String(promptTokens), "-n", "0"]
      : ["-p", "0", "-n", String(generateTokens), "-d", String(promptTokens)];
  const args = ["-m", gguf, "-t", String(threads), "-r", String(repeats), "-o", "jsonl", ...what];
  const { stdout } = await run(`${bin}/llama-bench`, args);
  const [line] = stdout.trim().split("\n");
  return { tokensPerSecond: median(JSON.parse(line).samples_ts) };
}

async function runNodeLlama({ gguf }, { threads, promptTokens, generateTokens, repeats }) {
  const tokens = [promptTokens, Math.max(2, generateTokens + 1)].map(String);
  const args = ["test/peers/node-llama-cpp.mjs", gguf, String(threads), ...tokens, String(repeats)];
  const { stdout } = await run(process.execPath, args);
  const speeds = JSON.parse(stdout);
  return {
    tokensPerSecond: median(generateTokens === 0 ? speeds.promptTokensPerSecond : speeds.generateTokensPerSecond),
  };
}

/** The middle value; of an even number the mean of both. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
