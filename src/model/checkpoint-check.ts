import { throwIfAborted } from "../errors.ts";
import { elementCount } from "../formats/safetensors/index.ts";
import type { WorkOptions } from "../progress.ts";
import { type Checkpoint, countNonFinite, nonFinite } from "./checkpoint.ts";
import type { StoredParameter } from "./checkpoint-tensors.ts";
import { matricesOf, vectorsOf } from "./decoder-spec.ts";
import { blockName } from "./matrix-id.ts";

/** Elements looked at together: 16 MiB in f32. */
const CHUNK_ELEMENTS = 4 * 1024 * 1024;

interface Group {
  readonly name: string;
  readonly parameters: readonly StoredParameter[];
}

/** Every tensor that the model uses, once, by block: embedding, blocks, then what follows them. */
function groupsOf(checkpoint: Checkpoint): Group[] {
  const { spec } = checkpoint;
  const last = spec.blocks.length;
  const ids: { name: string; ids: string[] }[] = [
    { name: "embedding", ids: ["embedding"] },
    ...spec.blocks.map((_, i) => ({ name: blockName(i), ids: [] })),
    { name: "final norm and head", ids: [] },
  ];
  for (const { id, block } of [...matricesOf(spec), ...vectorsOf(spec)]) {
    if (id !== "embedding") ids[(block ?? last) + 1].ids.push(id);
  }
  const seen = new Set<object>();
  return ids.map((group) => ({
    name: group.name,
    parameters: group.ids.flatMap((id) => {
      const parameter = checkpoint.locate(id);
      if (seen.has(parameter.info)) return [];
      seen.add(parameter.info);
      return [parameter];
    }),
  }));
}

async function checkTensor(parameter: StoredParameter, signal: AbortSignal | undefined): Promise<void> {
  const { file, info } = parameter;
  const elements = elementCount(info.shape) ?? 0;
  let bad = 0;
  for (let at = 0; at < elements; at += CHUNK_ELEMENTS) {
    throwIfAborted(signal);
    bad += countNonFinite(await file.readF32(info.name, at, Math.min(elements, at + CHUNK_ELEMENTS)));
  }
  if (bad > 0) throw nonFinite(parameter, bad, elements);
}

/**
 * Reads every weight once, block by block, and throws a UserError `NON_FINITE_WEIGHTS` for the first tensor that holds
 * NaN or infinity, with their count in the whole tensor. Stops between pieces when the signal is aborted.
 */
export async function checkWeights(checkpoint: Checkpoint, work: WorkOptions = {}): Promise<void> {
  const groups = groupsOf(checkpoint);
  for (const [done, { name, parameters }] of groups.entries()) {
    work.onProgress?.({ stage: "checking weights", done, total: groups.length, detail: name });
    for (const parameter of parameters) await checkTensor(parameter, work.signal);
  }
  work.onProgress?.({ stage: "checking weights", done: groups.length, total: groups.length });
}
