import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { UserError } from "../../src/errors.ts";
import { type Dtype, layoutSafetensors, writeSafetensors } from "../../src/formats/safetensors/index.ts";
import type { Checkpoint } from "../../src/model/checkpoint.ts";
import { f32ToBf16Array } from "../../src/tensor/half.ts";
import { Random } from "../../src/tensor/random.ts";

/** A tensor of a made-up checkpoint; values are stored as f32 or bf16. */
export interface MadeTensor {
  readonly shape: number[];
  readonly values: Float32Array;
  readonly dtype?: Dtype;
  /** Stored as they are instead of `values`. */
  readonly bytes?: Uint8Array;
}

/** A Llama of 2 blocks with grouped heads, small enough to look at. */
export const TINY_CONFIG = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
};

function shapesOfTiny(): [string, number[]][] {
  const blocks = [0, 1].flatMap((i): [string, number[]][] => [
    [`model.layers.${i}.input_layernorm.weight`, [8]],
    [`model.layers.${i}.self_attn.q_proj.weight`, [8, 8]],
    [`model.layers.${i}.self_attn.k_proj.weight`, [4, 8]],
    [`model.layers.${i}.self_attn.v_proj.weight`, [4, 8]],
    [`model.layers.${i}.self_attn.o_proj.weight`, [8, 8]],
    [`model.layers.${i}.post_attention_layernorm.weight`, [8]],
    [`model.layers.${i}.mlp.gate_proj.weight`, [12, 8]],
    [`model.layers.${i}.mlp.up_proj.weight`, [12, 8]],
    [`model.layers.${i}.mlp.down_proj.weight`, [8, 12]],
  ]);
  const outer: [string, number[]][] = [
    ["model.norm.weight", [8]],
    ["lm_head.weight", [11, 8]],
  ];
  return [["model.embed_tokens.weight", [11, 8]], ...blocks, ...outer];
}

/** Tensors of the tiny Llama with random values. */
export function tinyTensors(seed = 1): Map<string, MadeTensor> {
  const random = new Random(seed);
  return new Map(
    shapesOfTiny().map(([name, shape]) => {
      const length = shape.reduce((product, dimension) => product * dimension, 1);
      return [name, { shape, values: Float32Array.from({ length }, () => random.nextNormal()) }];
    }),
  );
}

/** The tiny Llama's tensors with some put in, or with null taken out. */
export function tensorsWith(changes: Readonly<Record<string, MadeTensor | null>>): Map<string, MadeTensor> {
  const tensors = tinyTensors();
  for (const [name, tensor] of Object.entries(changes)) {
    if (tensor) tensors.set(name, tensor);
    else tensors.delete(name);
  }
  return tensors;
}

/** Writes tensors as one safetensors file. */
export async function writeTensors(file: string, tensors: ReadonlyMap<string, MadeTensor>): Promise<void> {
  const entries = [...tensors].map(([name, { shape, dtype }]) => ({ name, shape, dtype: dtype ?? "F32" }));
  const pieces = [...tensors].map(([name, tensor]) => ({ name, bytes: storedBytes(tensor) }));
  await writeSafetensors(file, layoutSafetensors(entries), pieces);
}

function storedBytes({ values, dtype, bytes }: MadeTensor): Uint8Array {
  if (bytes) return bytes;
  const stored = dtype === "BF16" ? f32ToBf16Array(values) : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

let made = 0;

/** A new checkpoint folder under `root`: config and, where given, model.safetensors. */
export async function makeCheckpoint(
  root: string,
  config: unknown = TINY_CONFIG,
  tensors: ReadonlyMap<string, MadeTensor> | null = tinyTensors(),
): Promise<string> {
  const folder = path.join(root, `checkpoint-${made++}`);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
  if (tensors) await writeTensors(path.join(folder, "model.safetensors"), tensors);
  return folder;
}

/** The UserError, one line, that opening a checkpoint ends with. */
export async function openingError(opening: Promise<Checkpoint>): Promise<UserError> {
  const error = await opening.then(
    async (checkpoint) => {
      await checkpoint.close();
      return new Error("the checkpoint was accepted");
    },
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw error;
  expect(error.message).not.toMatch(/[\n\r]/);
  return error;
}
