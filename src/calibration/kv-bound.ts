import type { AttentionSpec } from "../model/decoder-spec.ts";
import { idOf } from "../model/matrix-id.ts";
import { matrixRows, type WeightSource } from "../model/weight-source.ts";
import { type RowNorm, readNorm } from "./normalize-rows.ts";

/**
 * A number that no key and no value of the model exceeds, whatever the text: a normed row is no longer than the square
 * root of its size, before the norm's own weights. Null where attention reads rows that are not normed. Reads the key
 * and value matrices and their norms.
 */
export async function keyValueBound(source: WeightSource): Promise<number | null> {
  let most = 0;
  for (const [block, { attention, attentionNorms }] of source.spec.blocks.entries()) {
    if (!attention) continue;
    if (!attentionNorms.pre) return null;
    const norm = await readNorm(source, idOf(block, "attn.norm"), attentionNorms.pre);
    most = Math.max(most, await keyBound(source, block, attention, norm));
    most = Math.max(most, await productBound(source, idOf(block, "attn.v"), attention.v.bias, norm));
  }
  return most;
}

async function keyBound(source: WeightSource, block: number, { kNorm, k, rope }: AttentionSpec, norm: RowNorm) {
  const own = kNorm && (await readNorm(source, idOf(block, "attn.kNorm"), kNorm));
  const most = own ? normBound(own) : await productBound(source, idOf(block, "attn.k"), k.bias, norm);
  // The rotary embedding turns pairs of numbers, and stretches them where it scales attention.
  const stretch = rope && "attentionFactor" in rope.scaling ? rope.scaling.attentionFactor : 1;
  return rope ? most * Math.SQRT2 * stretch : most;
}

/** Of the numbers that a norm gives. */
function normBound({ spec, weight, bias }: RowNorm): number {
  const length = Math.sqrt(spec.size);
  return weight.reduce((most, w, i) => Math.max(most, Math.abs(w) * length + Math.abs(bias?.[i] ?? 0)), 0);
}

/** Of W x (+ bias) over all x that the norm can give. */
async function productBound(source: WeightSource, id: string, hasBias: boolean, { spec, weight, bias }: RowNorm) {
  const matrix = await source.readMatrix(id);
  const own = hasBias ? await source.readVector(`${id}.bias`) : null;
  let most = 0;
  for (let row = 0; row < matrix.rows; row++) {
    const w = matrixRows(matrix, row, row + 1);
    let [squares, shift] = [0, own?.[row] ?? 0];
    for (let i = 0; i < w.length; i++) {
      squares += (w[i] * weight[i]) ** 2;
      if (bias) shift += w[i] * bias[i];
    }
    most = Math.max(most, Math.sqrt(squares * spec.size) + Math.abs(shift));
  }
  return most;
}
