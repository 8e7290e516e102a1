import type { z } from "zod";
import { UserError } from "../errors.ts";
import { isFile, parseWith } from "../formats/files.ts";
import { JsonError, parseJson } from "../formats/json.ts";
import {
  layoutSafetensors,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "../formats/safetensors/index.ts";

/** Numbers of a state, and their name in its file. */
export interface NamedNumbers {
  readonly name: string;
  readonly values: Float32Array;
}

/** How far training is; the key names what it is of. */
interface Keyed {
  readonly key: string;
}

/** Saves a state, whole or not at all; numbers are kept bit for bit. */
export async function saveNumbers<T extends Keyed>(
  file: string,
  progress: T,
  numbers: readonly NamedNumbers[],
): Promise<void> {
  const layout = layoutSafetensors(
    numbers.map(({ name, values }) => ({ name, dtype: "F32", shape: [values.length] })),
    { metadata: { progress: JSON.stringify(progress) } },
  );
  const pieces = numbers.map(({ name, values }) => {
    return { name, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
  });
  await writeSafetensors(file, layout, pieces);
}

/** What is to be restored. */
export interface Wanted<T extends Keyed> {
  readonly key: string;
  readonly schema: z.ZodType<T>;
  /** The numbers of such a state, which are written over; null: it is of something else. */
  numbersOf(progress: T, saved: SafetensorsFile): readonly NamedNumbers[] | null;
}

/**
 * How far training was when it was saved under the key, its numbers written where they are wanted. Null, and nothing
 * written, where there is no such state: other settings, or a damaged file, which is as good as none.
 */
export async function restoreNumbers<T extends Keyed>(file: string, wanted: Wanted<T>): Promise<T | null> {
  if (!(await isFile(file))) return null;
  try {
    const saved = await openSafetensors(file);
    return await restoreFrom(saved, wanted).finally(() => saved.close());
  } catch (error) {
    if (error instanceof UserError || error instanceof JsonError) return null;
    throw error;
  }
}

async function restoreFrom<T extends Keyed>(saved: SafetensorsFile, wanted: Wanted<T>): Promise<T | null> {
  const text = saved.metadata?.get("progress");
  const progress = text === undefined ? null : parseWith(wanted.schema, parseJson(text), saved.label);
  if (progress?.key !== wanted.key) return null;
  const numbers = wanted.numbersOf(progress, saved);
  if (!numbers) return null;
  const read: Float32Array[] = [];
  for (const { name, values } of numbers) {
    if (saved.tensor(name).shape[0] !== values.length) return null;
    read.push(await saved.readF32(name, 0, values.length));
  }
  for (const [i, { values }] of numbers.entries()) values.set(read[i]);
  return progress;
}
