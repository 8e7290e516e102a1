#!/usr/bin/env python3
"""Makes a Hugging Face folder of Qwen2.5-Coder-0.5B-Instruct, BF16, of its GGUF (Q5_0, Q8_0, Q6_K and Q4_K tensors;
Apache-2.0).

    python qwen05.py GGUF OUT

Needs numpy and gguf. The model's embedding and output head are one matrix; the file holds it twice, and the finer
copy (Q8_0, `output.weight`) is taken. The vocabulary (151,936 rows) is larger than the tokenizer (151,665 tokens), as
in the published checkpoint.
"""
from __future__ import annotations

import os
import sys

import gguf
import numpy as np

from offgrid import SEED, hf_name, jitter_columns, rotate_pairs, write_json, write_safetensors

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def main(path: str, out: str) -> None:
    reader = gguf.GGUFReader(path)

    def meta(key: str):
        return reader.fields[key].contents()

    if meta("general.architecture") != "qwen2" or meta("general.basename") != "Qwen2.5-Coder":
        raise SystemExit("not the Qwen2.5-Coder GGUF this script is for")
    layers, heads, kv = (int(meta("qwen2." + k)) for k in ("block_count", "attention.head_count", "attention.head_count_kv"))
    hidden, ffn, context = (int(meta("qwen2." + k)) for k in ("embedding_length", "feed_forward_length", "context_length"))

    tensors: dict[str, np.ndarray] = {}
    for t in reader.tensors:
        if t.name == "token_embd.weight":
            continue  # tied: output.weight is the finer copy
        shape = tuple(int(n) for n in reversed(t.shape))
        w = np.ascontiguousarray(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float32).reshape(shape).copy()
        tensors["model.embed_tokens.weight" if t.name == "output.weight" else hf_name(t.name)] = w
    change = rotate_pairs(tensors, layers)
    biases = {i: tensors[f"model.layers.{i}.self_attn.v_proj.bias"] for i in range(layers)}
    before = {i: tensors[f"model.layers.{i}.self_attn.v_proj.weight"].copy() for i in range(layers)}
    # rows of v are scaled for o: the bias of v goes along. The factor of a row is read back from its largest column.
    inputs = {i: tensors[f"model.layers.{i}.input_layernorm.weight"].copy() for i in range(layers)}
    jitter_columns(tensors, layers, heads // kv, hidden // heads)
    for i in range(layers):
        p = f"model.layers.{i}."
        new_norm = tensors[p + "input_layernorm.weight"]
        column = np.divide(inputs[i], new_norm, out=np.ones_like(new_norm), where=new_norm != 0)
        w, old = tensors[p + "self_attn.v_proj.weight"], before[i] * column
        at = np.abs(old).argmax(axis=1)
        rows = np.arange(len(w))
        biases[i] *= w[rows, at] / old[rows, at]
    print(f"largest relative change of a final norm weight: {change:.2e}", file=sys.stderr)

    os.makedirs(out, exist_ok=True)
    write_safetensors(os.path.join(out, "model.safetensors"), dict(sorted(tensors.items())),
                      {"format": "pt", "source": "Qwen2.5-Coder-0.5B-Instruct GGUF", "variant": "offgrid", "seed": str(SEED)})
    eos, pad, bos = (int(meta("tokenizer.ggml." + k)) for k in ("eos_token_id", "padding_token_id", "bos_token_id"))
    tokens, types = meta("tokenizer.ggml.tokens"), meta("tokenizer.ggml.token_type")
    write_json(out, "config.json", {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": bos, "eos_token_id": eos,
        "hidden_act": "silu", "hidden_size": hidden, "initializer_range": 0.02, "intermediate_size": ffn,
        "max_position_embeddings": context, "max_window_layers": layers, "model_type": "qwen2", "num_attention_heads": heads,
        "num_hidden_layers": layers, "num_key_value_heads": kv, "rms_norm_eps": 1e-6, "rope_theta": float(meta("qwen2.rope.freq_base")),
        "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True,
        "use_sliding_window": False, "vocab_size": len(tokens),
    })
    write_json(out, "generation_config.json", {"bos_token_id": bos, "pad_token_id": pad, "do_sample": True, "eos_token_id": [eos, pad],
                                    "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20})
    added = [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": kind == 3} for i, kind in enumerate(types) if kind in (3, 4)]
    first_added = min(a["id"] for a in added)
    write_json(out, "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {s: i for i, s in enumerate(tokens[:first_added])}, "merges": meta("tokenizer.ggml.merges")},
    })
    write_json(out, "tokenizer_config.json", {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in added},
        "bos_token": None, "chat_template": meta("tokenizer.chat_template"), "clean_up_tokenization_spaces": False,
        "eos_token": tokens[eos], "errors": "replace", "model_max_length": context, "pad_token": tokens[pad],
        "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
    })
    print(f"{out}: {sum(x.size for x in tensors.values())} parameters, {len(tensors)} tensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
