import { UserError } from "../errors.ts";
import { elementCount, isDecodable, showName, showShape } from "../formats/safetensors/index.ts";
import type { ModelDescription, TensorSource } from "./architectures/architecture.ts";
import { knownNames, type StoredTensor, type TensorTable } from "./checkpoint-tensors.ts";

/** Elements compared at a time: 16 MiB in f32, twice. */
const CHUNK_ELEMENTS = 4 * 1024 * 1024;

/** What output heads are called, by one library or another. */
const HEAD_NAME = /(^|\.)(lm_head|embed_out|output|output_layer|head|unembed)\.weight$/;

/** A description that fits what is stored. */
export interface Settled {
  readonly description: ModelDescription;
  /** What was done against config.json's word, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Looks at what is stored more than once. A tied model that stores a head of its own with other numbers than the
 * embedding's is one with two matrices: weights beat config.json, which transformers does too. Throws UserError
 * `STORED_TWICE` where any other parameter is stored twice with different numbers, or a head under a name that is not
 * the family's. Reads numbers only of what is stored twice.
 */
export async function settleTwice(description: ModelDescription, table: TensorTable, label: string): Promise<Settled> {
  for (const source of description.sources.values()) await refuseTwo(source, table, label);
  if (description.tiedHead) await refuseTwo(description.tiedHead, table, label);
  const settled = await settleHead(description, table);
  await refuseOtherHeads(settled.description, table, label);
  return settled;
}

async function settleHead(description: ModelDescription, table: TensorTable): Promise<Settled> {
  const { tiedHead, sources } = description;
  const asItIs: Settled = { description, notes: [] };
  const [head] = tiedHead ? storedAs(tiedHead, table) : [];
  if (!tiedHead || !head) return asItIs;
  const [own] = storedAs(sources.get("embedding"), table);
  if (!own)
    return { ...asItIs, description: { ...description, sources: new Map([...sources, ["embedding", tiedHead]]) } };
  if (await sameNumbers(own, head)) return asItIs;
  const spec = { ...description.spec, tied: false };
  const names = `${showName(head.info.name)} differs from ${showName(own.info.name)}`;
  return {
    description: { ...description, spec, sources: new Map([...sources, ["head", tiedHead]]), tiedHead: null },
    notes: [`${names}: it is the output head, though config.json says that they are tied`],
  };
}

/** Refuses a head beside the one in use, of another name and other numbers: nobody could tell which is the model's. */
async function refuseOtherHeads(description: ModelDescription, table: TensorTable, label: string): Promise<void> {
  const { sources } = description;
  const known = knownNames(description);
  const [used] = storedAs(sources.get("head") ?? sources.get("embedding"), table);
  for (const [name, other] of table.tensors) {
    const isHead = used && HEAD_NAME.test(name) && showShape(other.info.shape) === showShape(used.info.shape);
    if (isHead && !known.has(name) && !(await sameNumbers(used, other))) throw storedTwice(label, used, other);
  }
}

/** Every stored tensor that the source could mean, in the order of its names. */
function storedAs(source: TensorSource | undefined, { tensors, copies }: TensorTable): StoredTensor[] {
  return (source?.names ?? []).flatMap((name) => {
    const stored = tensors.get(name);
    return stored ? [stored, ...(copies.get(name) ?? [])] : [];
  });
}

async function refuseTwo(source: TensorSource, table: TensorTable, label: string): Promise<void> {
  const [first, ...others] = storedAs(source, table);
  for (const other of others) if (!(await sameNumbers(first, other))) throw storedTwice(label, first, other);
}

function storedTwice(label: string, first: StoredTensor, other: StoredTensor): UserError {
  const [one, two] = [first, other].map(({ file, info }) => `${showName(info.name)} of ${file.label}`);
  const what = `${label}: expected one tensor ${showName(first.info.name)}, found two with different numbers`;
  return new UserError("STORED_TWICE", `${what}: ${one} and ${two}`, "remove the one that is not the model's");
}

/** Whether two tensors have one shape and, in f32, the same numbers; stops at the first piece that differs. */
async function sameNumbers(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (showShape(a.info.shape) !== showShape(b.info.shape)) return false;
  if (!isDecodable(a.info.dtype) || !isDecodable(b.info.dtype)) return false;
  const elements = elementCount(a.info.shape) ?? 0;
  for (let at = 0; at < elements; at += CHUNK_ELEMENTS) {
    const to = Math.min(elements, at + CHUNK_ELEMENTS);
    const [left, right] = [await read(a, at, to), await read(b, at, to)];
    if (!left.equals(right)) return false;
  }
  return true;
}

async function read({ file, info }: StoredTensor, from: number, to: number): Promise<Buffer> {
  const numbers = await file.readF32(info.name, from, to);
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
