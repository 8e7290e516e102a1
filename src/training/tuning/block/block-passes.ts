import type { FrozenNorm } from "./frozen-block.ts";
import {
  attentionBackward,
  attentionForward,
  copyOf,
  type HalfRun,
  mlpBackward,
  mlpForward,
  type RunningBlock,
  type SavedAttention,
  type SavedMlp,
  zeros,
} from "./half-passes.ts";
import { addTo, type PassTools, scale } from "./linear-passes.ts";
import { normBackward, normForward } from "./norm-passes.ts";

/** What a half keeps, and its output where a norm of it follows (else null). */
interface SavedHalf<T> {
  readonly half: T;
  readonly output: Float32Array | null;
}

/** All that a block keeps for the way back, beside its input. */
export interface SavedBlock {
  readonly attention: SavedHalf<SavedAttention> | null;
  readonly mlp: SavedHalf<SavedMlp> | null;
  /** The residual stream between the halves; null where the second half reads the block's input. */
  readonly between: Float32Array | null;
}

/**
 * One block of x [rows, hiddenSize], which it leaves as it is: its output, and what the way back needs. The twin of
 * runtime/tfjs/decoder.ts.
 */
export async function blockForward(
  tools: PassTools,
  block: RunningBlock,
  x: Float32Array,
): Promise<{ readonly output: Float32Array; readonly saved: SavedBlock }> {
  const { spec, norms } = block.frozen;
  const output = copyOf(tools, x);
  const normed = normedCopy(tools, norms["attn.norm"], x);
  const attention = spec.attention
    ? addHalf(tools, block, norms["attn.postNorm"], {
        run: await attentionForward(tools, block, spec.attention, normed),
        to: output,
      })
    : null;
  const between = attention && spec.mlp && spec.residual === "sequential" ? copyOf(tools, output) : null;
  let mlp: SavedBlock["mlp"] = null;
  if (spec.mlp) {
    const input = sharesNorm(block) ? normed : normedCopy(tools, norms["mlp.norm"], between ?? x);
    const run = await mlpForward(tools, block, spec.mlp, input);
    mlp = addHalf(tools, block, norms["mlp.postNorm"], { run, to: output });
    if (input !== normed) tools.buffers.release(input);
  }
  tools.buffers.release(normed);
  return { output, saved: { attention, mlp, between } };
}

/**
 * Turns `d`, the slope of the output [rows, hiddenSize], into that of the input x, in place, and adds to those of
 * learned additions; what was saved is given back. `wanted`: false where nobody asks for the slope of x.
 */
export async function blockBackward(
  tools: PassTools,
  block: RunningBlock,
  {
    x,
    saved,
    d,
    wanted,
  }: { readonly x: Float32Array; readonly saved: SavedBlock; readonly d: Float32Array; readonly wanted: boolean },
): Promise<void> {
  const { buffers, rows } = tools;
  const { spec, norms } = block.frozen;
  const width = x.length / rows;
  const shared = sharesNorm(block);
  const normed = normedCopy(tools, norms["attn.norm"], x);
  const dNormed = zeros(tools, width);
  // In a parallel block both halves give to the same stream: what the first leaves in d is not the second's.
  const given = spec.residual === "parallel" ? copyOf(tools, d) : d;
  if (spec.mlp && saved.mlp) {
    const from = saved.between ?? x;
    const input = shared ? normed : normedCopy(tools, norms["mlp.norm"], from);
    const dInput = shared ? dNormed : zeros(tools, width);
    const dHalf = slopeOfHalf(tools, block, norms["mlp.postNorm"], { output: saved.mlp.output, d: given });
    await mlpBackward(tools, block, spec.mlp, { saved: saved.mlp.half, input, d: dHalf, dInput });
    buffers.release(dHalf);
    if (!shared) {
      passNorm(norms["mlp.norm"], { x: from, dy: dInput, dx: d });
      buffers.release(dInput);
      buffers.release(input);
    }
  }
  if (spec.attention && saved.attention) {
    const dHalf = slopeOfHalf(tools, block, norms["attn.postNorm"], { output: saved.attention.output, d: given });
    await attentionBackward(tools, block, spec.attention, {
      ...{ saved: saved.attention.half, input: normed, d: dHalf, dInput: wanted ? dNormed : null },
    });
    buffers.release(dHalf);
  }
  if (wanted) passNorm(norms["attn.norm"], { x, dy: dNormed, dx: d });
  for (const one of [normed, dNormed, saved.between, given === d ? null : given]) buffers.release(one);
}

/** Whether the feed-forward part reads the attention's normed input (Phi). */
function sharesNorm({ frozen: { spec, norms } }: RunningBlock): boolean {
  return spec.residual === "parallel" && !norms["mlp.norm"];
}

function normedCopy(tools: PassTools, norm: FrozenNorm | null, x: Float32Array): Float32Array {
  const normed = copyOf(tools, x);
  if (norm) normForward(norm, x, normed);
  return normed;
}

/** Adds to dx what passes back through a norm, or through where there is none. */
function passNorm(
  norm: FrozenNorm | null,
  of: { readonly x: Float32Array; readonly dy: Float32Array; readonly dx: Float32Array },
): void {
  if (norm) normBackward(norm, of);
  else addTo(of.dx, of.dy);
}

/** Adds what a half gave to the stream, normed and scaled where the block does so. */
function addHalf<T>(
  tools: PassTools,
  { frozen: { spec } }: RunningBlock,
  norm: FrozenNorm | null,
  { run, to }: { readonly run: HalfRun<T>; readonly to: Float32Array },
): SavedHalf<T> {
  const given = norm ? normedCopy(tools, norm, run.output) : run.output;
  for (let i = 0; i < to.length; i++) to[i] += spec.residualFactor * given[i];
  tools.buffers.release(given);
  return { half: run.saved, output: norm ? run.output : null };
}

/** Slope of what a half gave, before its norm and factor; the saved output is given back. */
function slopeOfHalf(
  tools: PassTools,
  { frozen: { spec } }: RunningBlock,
  norm: FrozenNorm | null,
  { output, d }: { readonly output: Float32Array | null; readonly d: Float32Array },
): Float32Array {
  const slope = norm && output ? zeros(tools, d.length / tools.rows) : copyOf(tools, d);
  if (norm && output) normBackward(norm, { x: output, dy: d, dx: slope });
  scale(slope, spec.residualFactor);
  tools.buffers.release(output);
  return slope;
}
