import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { listFolder } from "../../formats/files.ts";
import {
  openSafetensors,
  type SafetensorsFile,
  showName,
  showShape,
  type TensorInfo,
} from "../../formats/safetensors/index.ts";
import { countNonFinite } from "../checkpoint.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import type { LowRankPart } from "../low-rank.ts";
import { CONFIG_NAME, type LoraConfig, readLoraConfig, WEIGHTS_NAME } from "./config.ts";
import { type Module, type ModuleMatrix, modulesOf } from "./modules.ts";

/** A PEFT adapter as additions to a model's matrices. */
export interface PeftAdapter {
  /** In execution order. */
  readonly parts: readonly LowRankPart[];
  /** The base model as the adapter names it. */
  readonly base: string | null;
}

/** Names of both tensors of a module begin so, and end in `.lora_A.weight` or `.lora_B.weight`. */
export const MODULE_PREFIX = "base_model.model.";

const OTHER_MODEL = "the adapter was made for another model: name the one that it was trained on";

/**
 * Reads a PEFT adapter's folder (`adapter_config.json`, `adapter_model.safetensors`) for a model. An addition to a
 * fused tensor becomes one to each of its matrices, without the rank's directions in which that matrix gets nothing.
 * Throws UserError for what is no LoRA adapter, has anything that is not supported (config.ts), fits no matrix of the
 * model's blocks, or holds numbers that are not finite.
 */
export async function readPeftAdapter(folder: string, spec: DecoderSpec): Promise<PeftAdapter> {
  const names = await listFolder(folder);
  if (!names.includes(CONFIG_NAME)) throw badAdapter(folder, `expected a PEFT adapter, found no ${CONFIG_NAME} in it`);
  const config = await readLoraConfig(folder);
  if (!names.includes(WEIGHTS_NAME) && names.includes("adapter_model.bin")) {
    const hint = "save the adapter again with safe_serialization=True";
    throw new UserError("PICKLE", `${folder}: expected ${WEIGHTS_NAME}, found adapter_model.bin`, hint);
  }
  const file = await openSafetensors(join(folder, WEIGHTS_NAME));
  try {
    const parts: LowRankPart[] = [];
    const modules = modulesOf(spec, folder);
    const factors = factorsOf(file, modules);
    for (const module of new Set(modules.values())) {
      const found = factors.get(module);
      if (found) parts.push(...(await readModule(file, module, found, config)));
    }
    return { parts, base: config.base };
  } finally {
    await file.close();
  }
}

type Letter = "A" | "B";
/** Both factors' tensors of a module. */
type Factors = Readonly<Record<Letter, TensorInfo>>;

/** Every tensor of the file, by its module. */
function factorsOf(file: SafetensorsFile, modules: ReadonlyMap<string, Module>): ReadonlyMap<Module, Factors> {
  const found = new Map<Module, Partial<Record<Letter, TensorInfo>>>();
  for (const info of file.tensors.values()) {
    const [, prefix, place = "", letter] = /^(base_model\.model\.)?(.+)\.lora_(A|B)\.weight$/.exec(info.name) ?? [];
    if (prefix !== MODULE_PREFIX) {
      const expected = `expected tensors ${MODULE_PREFIX}*.lora_A.weight or lora_B.weight`;
      throw badAdapter(file.label, `${expected}, found ${showName(info.name)}`);
    }
    const module = modules.get(place);
    if (!module) {
      const found = `found tensor ${showName(info.name)}`;
      throw badAdapter(file.label, `expected linear layers of the model's blocks, ${found}`, OTHER_MODEL);
    }
    const factors = found.get(module) ?? {};
    found.set(module, { ...factors, [letter]: info });
  }
  return new Map([...found].map(([module, factors]) => [module, bothOf(file, module, factors)]));
}

function bothOf(file: SafetensorsFile, { path }: Module, { A, B }: Partial<Record<Letter, TensorInfo>>): Factors {
  if (A && B) return { A, B };
  const missing = `${MODULE_PREFIX}${path}.lora_${A ? "B" : "A"}.weight`;
  throw badAdapter(file.label, `expected tensor ${showName(missing)}, found none`);
}

async function readModule(
  file: SafetensorsFile,
  { path, block, rows, cols, matrices }: Module,
  { A, B }: Factors,
  config: LoraConfig,
): Promise<LowRankPart[]> {
  const { rank, factor } = config.of(path);
  const a = await readFactor(file, A, [rank, cols]);
  const b = await readFactor(file, B, [rows, rank]);
  return matrices.flatMap(({ role, ranges, rows }): LowRankPart[] => {
    const part = { block, role, rank, factor, a, b };
    if (ranges === null) return [part];
    const own = ownDirections({ ...part, b: rowsOf(b, rank, ranges) }, rows);
    return own.rank > 0 ? [own] : [];
  });
}

async function readFactor(
  file: SafetensorsFile,
  info: TensorInfo,
  shape: readonly [number, number],
): Promise<Float32Array> {
  const label = `tensor ${showName(info.name)}`;
  if (showShape(info.shape) !== showShape(shape)) {
    const found = `${label}: expected shape ${showShape(shape)} by model and ${CONFIG_NAME}, found`;
    throw badAdapter(file.label, `${found} ${showShape(info.shape)}`, OTHER_MODEL);
  }
  const numbers = await file.readF32(info.name);
  const bad = countNonFinite(numbers);
  if (bad === 0) return numbers;
  throw badAdapter(file.label, `${label}: expected finite values, found ${bad} NaN or infinite of ${numbers.length}`);
}

function rowsOf(b: Float32Array, rank: number, ranges: NonNullable<ModuleMatrix["ranges"]>): Float32Array {
  const out = new Float32Array(ranges.reduce((sum, [from, to]) => sum + to - from, 0) * rank);
  let at = 0;
  for (const [from, to] of ranges) {
    out.set(b.subarray(from * rank, to * rank), at);
    at += (to - from) * rank;
  }
  return out;
}

/** A part without the directions of its rank that give its matrix nothing: they are those of the fused others. */
function ownDirections(part: LowRankPart, rows: number): LowRankPart {
  const { rank, a, b } = part;
  const used = Array.from({ length: rank }, (_, r) => r).filter((r) => {
    for (let row = 0; row < rows; row++) if (b[row * rank + r] !== 0) return true;
    return false;
  });
  if (used.length === rank) return part;
  const cols = a.length / rank;
  const ownA = new Float32Array(used.length * cols);
  const ownB = new Float32Array(rows * used.length);
  for (const [to, from] of used.entries()) {
    ownA.set(a.subarray(from * cols, (from + 1) * cols), to * cols);
    for (let row = 0; row < rows; row++) ownB[row * used.length + to] = b[row * rank + from];
  }
  return { ...part, rank: used.length, a: ownA, b: ownB };
}

function badAdapter(label: string, what: string, hint?: string): UserError {
  return new UserError("ADAPTER", `${label}: ${what}`, hint);
}
