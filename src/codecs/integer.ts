import type { Codec, PackedParts, PackedShape, Quantized } from "./codec.ts";
import { type IntegerForm, integerGeometry, integerGroups } from "./integer-geometry.ts";
import { packInteger } from "./integer-pack.ts";
import { unpackInteger } from "./integer-unpack.ts";
import { levelTable } from "./level-tables.ts";
import { checkLength, checkShape, outputOf, tilesOf } from "./tile.ts";

/** GGUF types that hold the numbers of a group-32 codec without loss. */
const GGUF_TYPES: Readonly<Record<string, string>> = {
  "q4s-g32": "Q4_0",
  "q4a-g32": "Q4_1",
  "q5s-g32": "Q5_0",
  "q5a-g32": "Q5_1",
  "q8s-g32": "Q8_0",
};

/** The integer that each code stands for, or null where scales come with minima. */
function levelsOf(bits: IntegerForm["bits"], scheme: IntegerForm["scheme"]): Int8Array | null {
  if (scheme === "asymmetric") return null;
  if (scheme === "table") return levelTable(bits);
  return Int8Array.from({ length: 2 ** bits }, (_, code) => code - 2 ** (bits - 1));
}

/** Integer levels as bit planes under a scale (and minimum) a group, as the form says; a null group is a whole row. */
export function integerCodec(id: string, form: IntegerForm): Codec {
  const { bits, group, scheme, scaleKind, kept } = form;
  const levels = levelsOf(bits, scheme);

  function packedParts(rows: number, cols: number): PackedParts {
    checkShape(id, rows, cols);
    const g = integerGeometry(form, cols);
    const tiles = tilesOf(rows);
    return {
      levels: tiles * g.levelBytes,
      scales: tiles * (g.contentBytes - g.levelBytes),
      padding: tiles * (g.stride - g.contentBytes),
    };
  }

  function packedBytes(rows: number, cols: number): number {
    checkShape(id, rows, cols);
    return tilesOf(rows) * integerGeometry(form, cols).stride;
  }

  function pack(quantized: Quantized): Uint8Array {
    if (quantized.kind !== "integer")
      throw new TypeError(`${id}: expected integer codes, found ${quantized.kind} values`);
    checkShape(id, quantized.rows, quantized.cols);
    return packInteger(id, form, quantized);
  }

  function unpack(packed: PackedShape, from: number, to: number, out: Float32Array | undefined, transposed: boolean) {
    const { rows, cols, bytes } = packed;
    checkLength(`${id} bytes`, bytes.length, packedBytes(rows, cols));
    const target = outputOf(out, (to - from) * cols);
    const [rowStep, colStep] = transposed ? [1, to - from] : [cols, 1];
    return unpackInteger(form, levels, packed, from, to, target, rowStep, colStep);
  }

  return {
    id,
    bits,
    group,
    scheme,
    scaleKind,
    levels,
    kept,
    gguf: GGUF_TYPES[id] ?? null,
    packedBytes,
    packedParts,
    groupsPerRow: (cols) => integerGroups(form, cols),
    pack,
    unpackRows: (packed, from, to, out) => unpack(packed, from, to, out, false),
    unpackTransposed: (packed, from, to, out) => unpack(packed, from, to, out, true),
  };
}
