import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { UserError } from "../../errors.ts";
import { BACKENDS, type Backend, type BackendChoice } from "../backend-names.ts";
import { registerPackedMatMul } from "./packed-matmul.ts";
import type { PackedProductsChoice } from "./packed-products.ts";

export { BACKENDS } from "../backend-names.ts";

export interface BackendOptions {
  /** `auto`: the fastest that works. */
  readonly backend?: BackendChoice | undefined;
  /**
   * Threads of one operation; the tensorflow backend alone has more than one, and fixes the number when it first loads.
   */
  readonly threads?: number | undefined;
  /** Who multiplies with packed matrices; `auto`: the native addon where it loads. */
  readonly packedProducts?: PackedProductsChoice | undefined;
}

/** The backend in use and why it is this one. */
export interface BackendInfo {
  readonly backend: Backend;
  /** One sentence for people. */
  readonly reason: string;
  readonly threads: number;
  /** Version of TensorFlow.js and, where it runs below, of libtensorflow. */
  readonly version: string;
}

const TFJS_NODE = "@tensorflow/tfjs-node";

/**
 * Loads a backend, proves it by a real operation (a package that loads may still fail at every operation) and makes it
 * current. Throws UserError BACKEND when a backend asked for by name does not work.
 */
export async function openBackend(options: BackendOptions = {}): Promise<BackendInfo> {
  const wanted = options.backend ?? "auto";
  const threads = options.threads ?? availableParallelism();
  const failures: string[] = [];
  for (const backend of wanted === "auto" ? BACKENDS : [wanted]) {
    try {
      await load(backend, threads);
      await prove(backend);
    } catch (error) {
      failures.push(`${packageOf(backend)} does not work: ${firstLine(error)}`);
      continue;
    }
    registerPackedMatMul(backend, { choice: options.packedProducts ?? "auto", threads });
    const because = wanted === "auto" ? [...failures, `using ${backend}`].join("; ") : "asked for by name";
    const reason = because === "using tensorflow" ? "tfjs-node is installed and works" : because;
    return {
      backend,
      reason,
      threads: backend === "tensorflow" ? tensorFlowThreads(threads) : 1,
      version: versionOf(backend),
    };
  }
  throw new UserError(
    "BACKEND",
    `backend: expected one that works, found: ${failures.join("; ")}`,
    wanted === "tensorflow"
      ? "run scripts/install-tfjs-node.sh, or use --backend auto"
      : "use --backend auto, or install the packages anew with npm ci",
  );
}

/** Registers the gradients of all operations: tfjs-core alone has none. Needed before any training. */
export async function ensureGradients(): Promise<void> {
  await quietly(() => import("@tensorflow/tfjs"));
  if (!tf.getGradient("BatchMatMul").gradFunc.name.startsWith("explicit")) replaceMatMulGradient();
}

/**
 * The gradient of a product with its transposes made first: the wasm backend is 20 to 70 times slower where an operand
 * of matMul is transposed by a flag. Products that had a flag already keep the gradient of TensorFlow.js.
 */
function replaceMatMulGradient(): void {
  const original = tf.getGradient("BatchMatMul");
  tf.unregisterGradient("BatchMatMul");
  tf.registerGradient({
    ...original,
    gradFunc: function explicitTransposes(dy, saved, attrs) {
      if (Array.isArray(dy) || attrs.transposeA || attrs.transposeB || tf.getBackend() !== "wasm") {
        return original.gradFunc(dy, saved, attrs);
      }
      const [a, b] = saved;
      return { a: () => tf.matMul(dy, transposeLast(b)), b: () => tf.matMul(transposeLast(a), dy) };
    },
  });
}

function transposeLast(tensor: tf.Tensor): tf.Tensor {
  const rank = tensor.rank;
  const axes = tensor.shape.map((_, axis) => axis);
  return tf.transpose(tensor, [...axes.slice(0, rank - 2), rank - 1, rank - 2]);
}

async function load(backend: Backend, threads: number): Promise<void> {
  // Production mode keeps TensorFlow.js from printing advice ("Hi, looks like you are running …") on standard error.
  tf.env().set("PROD", true);
  if (backend === "tensorflow") {
    configureTensorFlow(threads);
    // By a variable: the package is optional, and the build must not need its types.
    const name: string = TFJS_NODE;
    await quietly(() => import(name));
  } else if (backend === "wasm") {
    const wasm = await import("@tensorflow/tfjs-backend-wasm");
    const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
    wasm.setWasmPaths(path.join(path.dirname(manifest), "wasm-out", path.sep));
  } else {
    await import("@tensorflow/tfjs-backend-cpu");
  }
}

/**
 * libtensorflow takes its settings from the environment only, and reads them when it is first loaded; what the user has
 * set stays. Log level 2 drops its information and warning lines. oneDNN off makes the [1, 576] x [576, 1536] products
 * of decoding
 * 2.3 times faster (0.16 against 0.37 ms on two cores) and leaves the [512, 576] ones of prompts as they are (6 ms).
 */
function configureTensorFlow(threads: number): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  process.env.TF_ENABLE_ONEDNN_OPTS ??= "0";
  process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
  process.env.TF_NUM_INTEROP_THREADS ??= "1";
}

/** What libtensorflow was told when it was loaded: by the user's environment, by the first call, or now. */
function tensorFlowThreads(wanted: number): number {
  return Number(process.env.TF_NUM_INTRAOP_THREADS) || wanted;
}

/** Runs a loader without Node's deprecation lines: they are about TensorFlow.js' own dependencies. */
async function quietly<T>(loader: () => Promise<T>): Promise<T> {
  const before = process.noDeprecation;
  process.noDeprecation = true;
  try {
    return await loader();
  } finally {
    process.noDeprecation = before;
  }
}

/** Makes the backend current and computes a product on it. */
async function prove(backend: Backend): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error("the backend does not start");
  await tf.ready();
  const product = tf.tidy(() => tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6], [2, 1])));
  const [first, second] = product.dataSync();
  product.dispose();
  if (first !== 17 || second !== 39) throw new Error(`a product gives ${first}, ${second} in place of 17, 39`);
}

function packageOf(backend: Backend): string {
  return backend === "tensorflow" ? "tfjs-node" : `tfjs-backend-${backend}`;
}

function versionOf(backend: Backend): string {
  if (backend !== "tensorflow") return tf.version_core;
  const current: unknown = tf.backend();
  const binding: unknown = isRecord(current) ? current.binding : undefined;
  const library = isRecord(binding) ? binding.TF_Version : undefined;
  return typeof library === "string" ? `${tf.version_core}, libtensorflow ${library}` : tf.version_core;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0].trim();
}

/** Opens the backend on which gradients are computed. Throws as openBackend does. */
export async function openTrainingBackend(options: BackendOptions): Promise<BackendInfo> {
  const info = await openBackend(options);
  await ensureGradients();
  return info;
}
