// The same model under another layout of its tensors, byte for byte: q, k, v (and gate, up) fused into one tensor, or
// taken apart. Fused and unfused by what the families' own code does (transformers: Phi3Attention, Phi3MLP,
// GPTNeoXAttention), not by the maps of src/model that are to be tested with it.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Fields of a Llama config that Phi-3's has no use for. */
const LLAMA_ONLY = ["attention_bias", "mlp_bias", "pretraining_tp", "is_llama_config", "rope_interleaved"];

/** Model type of the layout that {@link writeSeparateNeox} writes: no family that ships, see {@link separateNeox}. */
export const SEPARATE_NEOX = "gpt_neox_separate";

/**
 * Writes a copy of a Llama checkpoint in Phi-3's layout into `out`: one tensor of q above k above v, one of gate above
 * up.
 */
export async function writePhi3Layout(formats, folder, out) {
  const fused = [
    ["self_attn.qkv_proj", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]],
    ["mlp.gate_up_proj", ["mlp.gate_proj", "mlp.up_proj"]],
  ];
  await rewrite(formats, folder, out, {
    config: (config) => {
      const kept = Object.entries(config).filter(([key]) => !LLAMA_ONLY.includes(key));
      return { ...Object.fromEntries(kept), model_type: "phi3", architectures: ["Phi3ForCausalLM"] };
    },
    tensors: (stored) =>
      [...stored.values()].flatMap((tensor) => {
        for (const [whole, parts] of fused) {
          const place = parts.findIndex((part) => tensor.name.endsWith(`.${part}.weight`));
          if (place > 0) return [];
          if (place === 0) {
            const nameOf = (part) => tensor.name.replace(parts[0], part);
            return [
              stack(
                nameOf(whole),
                parts.map((part) => stored.get(nameOf(part))),
              ),
            ];
          }
        }
        return [tensor];
      }),
  });
}

/**
 * Writes a copy of a GPT-NeoX checkpoint with q, k and v in a tensor each into `out`; its config is of model type
 * {@link SEPARATE_NEOX}.
 */
export async function writeSeparateNeox(formats, folder, out) {
  const { num_attention_heads: heads } = readConfig(folder);
  await rewrite(formats, folder, out, {
    config: (config) => ({ ...config, model_type: SEPARATE_NEOX }),
    tensors: (stored) =>
      [...stored.values()].flatMap((tensor) =>
        tensor.name.includes(".query_key_value.")
          ? ["query", "key", "value"].map((part, place) => takePart(tensor, part, place, heads))
          : [tensor],
      ),
  });
}

/**
 * The family of {@link writeSeparateNeox}'s checkpoints, made of GPT-NeoX's: the same model, q, k and v named one by
 * one.
 */
export function separateNeox(family) {
  return {
    ...family,
    names(spec) {
      const names = family.names(spec);
      const part = (i, name) => ({ tensor: `gpt_neox.layers.${i}.attention.${name}` });
      const block = (i) => ({
        ...names.block(i),
        ...{ "attn.q": part(i, "query"), "attn.k": part(i, "key"), "attn.v": part(i, "value") },
      });
      return { ...names, block };
    },
  };
}

/** Head after head of [q | k | v]: the rows of one of the three. */
function takePart({ name, dtype, shape, bytes }, part, place, heads) {
  const headBytes = bytes.length / (3 * heads);
  const pieces = Array.from({ length: heads }, (_, head) => {
    const from = (3 * head + place) * headBytes;
    return bytes.subarray(from, from + headBytes);
  });
  return {
    ...{ name: name.replace("query_key_value", part), dtype },
    ...{ shape: [shape[0] / 3, ...shape.slice(1)], bytes: Buffer.concat(pieces) },
  };
}

/** One tensor of the rows of several, in order. */
function stack(name, parts) {
  const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
  const [{ dtype, shape }] = parts;
  return { name, dtype, shape: [rows, ...shape.slice(1)], bytes: Buffer.concat(parts.map(({ bytes }) => bytes)) };
}

function readConfig(folder) {
  return JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"));
}

/**
 * Copies a checkpoint of one weights file with another config and other tensors; the tokenizer's files stay as they
 * are.
 */
async function rewrite({ openSafetensors, layoutSafetensors, writeSafetensors }, folder, out, { config, tensors }) {
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (/token/.test(name)) cpSync(path.join(folder, name), path.join(out, name));
  }
  writeFileSync(path.join(out, "config.json"), `${JSON.stringify(config(readConfig(folder)), null, 2)}\n`);
  const file = await openSafetensors(path.join(folder, "model.safetensors"));
  try {
    const stored = new Map();
    for (const [name, { dtype, shape }] of file.tensors) {
      stored.set(name, { name, dtype, shape, bytes: await file.readBytes(name) });
    }
    const rewritten = tensors(stored);
    await writeSafetensors(path.join(out, "model.safetensors"), layoutSafetensors(rewritten), rewritten);
  } finally {
    await file.close();
  }
}
