import { createHash } from "node:crypto";
import { throwIfAborted, UserError } from "../errors.ts";
import { isFile } from "../formats/files.ts";
import { layoutSafetensors, openSafetensors, writeSafetensors } from "../formats/safetensors/index.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { executorName } from "../runtime/executor-info.ts";
import { TOOL_VERSION } from "../version.ts";
import { groupWindows, runWindows, targetsOf } from "./passes.ts";
import { countTargets, type Windows } from "./windows.ts";

/**
 * The reference's hidden states before its output head at every scored token of some windows. Its logits follow from
 * them by the head alone, bit by bit, at a tenth of the time and (SmolLM2-135M) an 85th of the bytes: one file serves
 * any number of artifacts.
 */
export interface ReferenceStates {
  /** Scored tokens. */
  readonly rows: number;
  /** States of the scored tokens [from, to): [to - from, hiddenSize]. */
  read(from: number, to: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** What reference states are made from. */
export interface ReferenceRequest extends WorkOptions {
  /** The original weights, computed in f32. */
  readonly reference: AnyExecutor;
  readonly windows: Windows;
  /** Windows share a pass up to so many rows (default 2048). */
  readonly rowsPerPass?: number | undefined;
}

const TENSOR = "states";

/**
 * A model without its blocks: what is needed of a reference whose states are known. The source stays the caller's to
 * close.
 */
export function headOnly(source: WeightSource): WeightSource {
  return {
    spec: { ...source.spec, blocks: [] },
    label: source.label,
    readMatrix: (id) => source.readMatrix(id),
    readRows: (id, from, to) => source.readRows(id, from, to),
    readVector: (id) => source.readVector(id),
    close: () => source.close(),
  };
}

/** Computes the states and keeps them in memory. */
export async function collectReferenceStates(request: ReferenceRequest): Promise<ReferenceStates> {
  const { hiddenSize } = request.reference.spec;
  const rows = countTargets(request.windows.windows);
  const data = new Float32Array(rows * hiddenSize);
  let at = 0;
  for await (const part of statesByPass(request)) {
    data.set(part, at);
    at += part.length;
  }
  const read = async (from: number, to: number) => data.slice(from * hiddenSize, to * hiddenSize);
  return { rows, read, close: async () => undefined };
}

/** The same of weights that a file's states are of. */
export interface SavedReferenceRequest extends ReferenceRequest {
  /** Names the reference's weights by their contents. */
  readonly referenceId: string;
  /** Throws where the weights changed since they were named: then nothing is kept. */
  readonly assertReference?: (() => Promise<void>) | undefined;
}

/**
 * The states from a file: read where it holds those of this reference, executor and windows, else computed and written
 * there, a pass at a time. Throws UserError REFERENCE_FILE where the file holds anything else.
 */
export async function savedReferenceStates(
  file: string,
  request: SavedReferenceRequest,
): Promise<ReferenceStates & { readonly isNew: boolean }> {
  const key = keyOf(request);
  const isNew = !(await isFile(file));
  if (isNew) {
    const shape = [countTargets(request.windows.windows), request.reference.spec.hiddenSize];
    const layout = layoutSafetensors([{ name: TENSOR, dtype: "F32", shape }], { metadata: { key } });
    await writeSafetensors(file, layout, piecesOf(request));
  }
  return { ...(await openStates(file, key)), isNew };
}

async function openStates(file: string, key: string): Promise<ReferenceStates> {
  const saved = await openSafetensors(file);
  const found = saved.metadata?.get("key");
  if (found !== key) {
    await saved.close();
    throw new UserError(
      "REFERENCE_FILE",
      `${file}: expected the states of this reference on these windows, found ${found === undefined ? "another file" : "those of others"}`,
      "name another file, or remove this one to have it written anew",
    );
  }
  const [rows, hiddenSize] = saved.tensor(TENSOR).shape;
  return {
    rows,
    read: (from, to) => saved.readF32(TENSOR, from * hiddenSize, to * hiddenSize),
    close: () => saved.close(),
  };
}

async function* piecesOf(request: SavedReferenceRequest): AsyncGenerator<{ name: string; bytes: Uint8Array }> {
  for await (const part of statesByPass(request)) {
    yield { name: TENSOR, bytes: new Uint8Array(part.buffer, part.byteOffset, part.byteLength) };
  }
  await request.assertReference?.();
}

/** States of the scored tokens of each pass, in order. */
async function* statesByPass(request: ReferenceRequest): AsyncGenerator<Float32Array> {
  const { reference, windows, signal } = request;
  const { hiddenSize } = reference.spec;
  let done = 0;
  for (const pass of groupWindows(windows.windows, request.rowsPerPass ?? 2048)) {
    throwIfAborted(signal);
    const hidden = await runWindows(reference, pass, { kvType: "f32", signal });
    try {
      const all = await reference.read(hidden);
      const { rows } = targetsOf(pass);
      const part = new Float32Array(rows.length * hiddenSize);
      rows.forEach((row, i) => {
        part.set(all.subarray(row * hiddenSize, (row + 1) * hiddenSize), i * hiddenSize);
      });
      yield part;
    } finally {
      reference.release(hidden);
    }
    done += pass.length;
    request.onProgress?.({ stage: "reference", done, total: windows.windows.length });
  }
}

function keyOf({ reference, windows, referenceId }: SavedReferenceRequest): string {
  const hash = createHash("sha256");
  // Versions and instruction sets may differ in the last bits, and equal weights are to diverge by nothing.
  hash.update(JSON.stringify([TOOL_VERSION, referenceId, executorName(reference.info), windows.windows.length]));
  for (const { ids, firstTarget } of windows.windows) hash.update(`\n${firstTarget}:${ids.join()}`);
  return hash.digest("hex");
}
