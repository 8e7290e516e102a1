"""What both makers of test checkpoints share: names, weights moved off the grid of the file they come from, safetensors.

The weights that the checkpoints are made of were quantized: packing them again to a like format would cost next to
nothing, and say nothing about a method. So they are moved off their grid, to other weights of the same function:

1. Rotation: pairs of residual channels are rotated by random angles of 20 to 70 degrees (embedding, inputs of q/k/v
   and gate/up, outputs of o and down). RMSNorm weights are folded into the linear layers first, and a new norm
   weight, the mean of the pair, is taken out again afterwards. The pairs are neighbours in the order of the final
   norm's weights, whose two values, if within 1 %, are replaced by their mean (others stay), so that the rotation
   commutes with the final norm and the embedding stays tied to the head. That mean is the only change of the function
   (and bf16 rounding).
2. Column scales: input columns of every linear layer are multiplied by random factors in [1-j, 1+j), undone in what
   feeds them: norm weights for q/k/v and for gate/up, rows of v for o, rows of up for down.

The random numbers depend on the seed and a name only, and they use raw PCG64 output, whose stream numpy keeps stable;
the rotation is elementwise float32 arithmetic, so the files are reproducible bit for bit.
"""
from __future__ import annotations

import json
import os
import zlib

import numpy as np

SEED = 0
JITTER = 0.2

NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def hf_name(name: str) -> str:
    """A GGUF tensor's name in a Hugging Face checkpoint."""
    if name in NAMES:
        return NAMES[name]
    blk, layer, kind, suffix = name.split(".")
    if blk != "blk":
        raise SystemExit(f"unexpected tensor {name}")
    return f"model.layers.{layer}.{LAYER_NAMES[kind]}.{suffix}"


def uniform_noise(shape: tuple[int, ...], name: str) -> np.ndarray:
    """float32, uniform on the 2**24 midpoints of [-0.5, 0.5)."""
    bits = np.random.PCG64(np.random.SeedSequence([SEED, zlib.crc32(name.encode())]))
    raw = bits.random_raw(int(np.prod(shape)))
    return (((raw >> np.uint64(40)).astype(np.float64) + 0.5) / 2.0**24 - 0.5).astype(np.float32).reshape(shape)


def jitter_columns(tensors: dict[str, np.ndarray], layers: int, group: int, head_dim: int) -> None:
    """Multiply linear layers' input columns by random factors; undo them in the layer before.  In place.

    `group` is the number of query heads that share a key/value head.
    """
    def factors(n: int, name: str) -> np.ndarray:
        return np.float32(1) + np.float32(2 * JITTER) * uniform_noise((n,), "jitter:" + name)

    def rounded(x: np.ndarray) -> np.ndarray:
        return (to_bf16(x).astype(np.uint32) << np.uint32(16)).view(np.float32)

    for i in range(layers):
        p = f"model.layers.{i}."
        for norm, users in ((p + "input_layernorm.weight", ("q_proj", "k_proj", "v_proj")),
                            (p + "post_attention_layernorm.weight", ("gate_proj", "up_proj"))):
            block = "self_attn." if "input" in norm else "mlp."
            old = tensors[norm]
            new = rounded(old / factors(old.size, norm))  # as it will be stored
            scale = np.divide(old, new, out=np.ones_like(old), where=new != 0)
            tensors[norm] = np.where(new != 0, new, old)
            for user in users:
                tensors[p + block + user + ".weight"] *= scale
        v, o = p + "self_attn.v_proj.weight", p + "self_attn.o_proj.weight"
        s = factors(tensors[v].shape[0], v)
        tensors[v] *= s[:, None]
        tensors[o] /= np.repeat(s.reshape(-1, head_dim), group, axis=0).reshape(-1)
        up, down = p + "mlp.up_proj.weight", p + "mlp.down_proj.weight"
        s = factors(tensors[up].shape[0], up)
        tensors[up] *= s[:, None]
        tensors[down] /= s


def rotate_pairs(tensors: dict[str, np.ndarray], layers: int) -> float:
    """Rotate pairs of residual channels; returns the largest relative change made to the final norm.  In place."""
    final = tensors["model.norm.weight"]
    order = np.argsort(final, kind="stable")
    first, second = order[0::2], order[1::2]
    close = np.abs(final[second] - final[first]) < 0.01 * np.abs(final[first])  # outliers stay as they are
    first, second = first[close], second[close]
    angle = np.deg2rad(np.float64(45) + 50 * uniform_noise((first.size,), "angle").astype(np.float64))
    angle *= np.where(uniform_noise((first.size,), "sign") < 0, -1, 1)
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def columns(w: np.ndarray) -> None:  # w R, with R the rotation on each pair
        x, y = w[:, first].copy(), w[:, second].copy()
        w[:, first], w[:, second] = x * cos + y * sin, y * cos - x * sin

    def rows(w: np.ndarray) -> None:  # R' w
        x, y = w[first].copy(), w[second].copy()
        w[first], w[second] = x * cos[:, None] + y * sin[:, None], y * cos[:, None] - x * sin[:, None]

    def pair_means(g: np.ndarray) -> np.ndarray:
        out = g.copy()
        out[first] = out[second] = (g[first] + g[second]) / np.float32(2)
        return out

    new_final = pair_means(final)
    change = float(np.max(np.abs(new_final - final) / np.abs(final)))
    tensors["model.norm.weight"] = new_final
    columns(tensors["model.embed_tokens.weight"])
    for i in range(layers):
        p = f"model.layers.{i}."
        for norm, users in ((p + "input_layernorm.weight", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
                            (p + "post_attention_layernorm.weight", ("mlp.gate_proj", "mlp.up_proj"))):
            old = tensors[norm]
            new = pair_means(np.maximum(np.abs(old), np.float32(1e-3)))
            tensors[norm] = new
            for user in users:
                w = tensors[p + user + ".weight"]
                w *= old
                columns(w)
                w /= new
        rows(tensors[p + "self_attn.o_proj.weight"])
        rows(tensors[p + "mlp.down_proj.weight"])
    return change


def to_bf16(x: np.ndarray) -> np.ndarray:
    """float32 -> bfloat16 bits, round to nearest even (finite input)."""
    u = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def write_safetensors(path: str, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes float32 tensors as BF16; the header is padded with spaces to a multiple of 8, as the reference writer does."""
    header: dict = {"__metadata__": metadata}
    offset = 0
    for name, x in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(x.shape), "data_offsets": [offset, offset + 2 * x.size]}
        offset += 2 * x.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        for x in tensors.values():
            f.write(to_bf16(x).tobytes())


def write_json(folder: str, name: str, value) -> None:
    """Writes a JSON file of a checkpoint folder."""
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")
