import type { AttentionSpec, MlpSpec } from "../../../model/decoder-spec.ts";
import type { BlockRole } from "../../../model/matrix-id.ts";
import type { RopeTable } from "../../../model/rope.ts";
import { activateBackward, activateForward } from "./activation-passes.ts";
import { type Attended, attendBackward, attendForward, type HeadRows } from "./attention-passes.ts";
import type { FrozenBlock, FrozenLinear, FrozenNorm } from "./frozen-block.ts";
import { type LinearSlopes, linearBackward, linearForward, type PassTools } from "./linear-passes.ts";
import type { BlockAdditions } from "./low-rank.ts";
import { normBackward, normForward } from "./norm-passes.ts";
import { rotate } from "./rotary-passes.ts";

/** A block on its way: weights, additions, and the rotary embedding of the rows (null: it has none). */
export interface RunningBlock {
  readonly frozen: FrozenBlock;
  readonly additions: BlockAdditions;
  readonly rope: RopeTable | null;
}

/** What attention keeps for the way back. */
export interface SavedAttention {
  readonly heads: HeadRows;
  /** Queries and keys before their norms; null where there are none. */
  readonly unnormed: { readonly q: Float32Array | null; readonly k: Float32Array | null };
  readonly attended: Attended;
}

/** What the feed-forward part keeps for the way back: products before the activation. */
export interface SavedMlp {
  readonly gate: Float32Array | null;
  readonly up: Float32Array;
}

/** What a half of a block gives, [rows, hiddenSize], and keeps. */
export interface HalfRun<T> {
  readonly output: Float32Array;
  readonly saved: T;
}

/** What passes back through a half. */
export interface HalfSlopes<T> {
  readonly saved: T;
  /** What the half read, normed: [rows, hiddenSize]. */
  readonly input: Float32Array;
  /** Slope of what it gave. */
  readonly d: Float32Array;
  /** Slope of the input, added to; null: it is not wanted. */
  readonly dInput: Float32Array | null;
}

/** Attention of normed rows, output projection included. */
export async function attentionForward(
  tools: PassTools,
  block: RunningBlock,
  spec: AttentionSpec,
  input: Float32Array,
): Promise<HalfRun<SavedAttention>> {
  const product = (role: BlockRole) => linearForward(tools, linearAt(block, role), block.additions.get(role), input);
  const [q, k, v] = [await product("attn.q"), await product("attn.k"), await product("attn.v")];
  const unnormed = {
    q: normInPlace(tools, block.frozen.norms["attn.qNorm"], q),
    k: normInPlace(tools, block.frozen.norms["attn.kNorm"], k),
  };
  turn(tools, block, spec, { q, k, back: false });
  const heads = { q, k, v };
  const attended = await attendForward(tools, spec, heads);
  const output = await linearForward(tools, linearAt(block, "attn.o"), block.additions.get("attn.o"), attended.mixed);
  return { output, saved: { heads, unnormed, attended } };
}

/** The way back of {@link attentionForward}; what was saved is given back. */
export async function attentionBackward(
  tools: PassTools,
  block: RunningBlock,
  spec: AttentionSpec,
  { saved, input, d, dInput }: HalfSlopes<SavedAttention>,
): Promise<void> {
  const { buffers } = tools;
  const { heads, attended, unnormed } = saved;
  const back = (role: BlockRole, slopes: LinearSlopes) =>
    linearBackward(tools, linearAt(block, role), block.additions.get(role), slopes);
  const like = ({ length }: Float32Array) => zeros(tools, length / tools.rows);
  const dMixed = buffers.take(tools.rows, attended.mixed.length / tools.rows);
  await back("attn.o", { x: attended.mixed, dy: d, dx: dMixed, fresh: true });
  const to = { q: like(heads.q), k: like(heads.k), v: like(heads.v) };
  await attendBackward(tools, spec, { heads, attended, dMixed, to });
  for (const one of [dMixed, attended.mixed, attended.logSums, heads.q, heads.k, heads.v]) buffers.release(one);
  turn(tools, block, spec, { q: to.q, k: to.k, back: true });
  const dq = unnorm(tools, block.frozen.norms["attn.qNorm"], unnormed.q, to.q);
  const dk = unnorm(tools, block.frozen.norms["attn.kNorm"], unnormed.k, to.k);
  await back("attn.q", { x: input, dy: dq, dx: dInput });
  await back("attn.k", { x: input, dy: dk, dx: dInput });
  await back("attn.v", { x: input, dy: to.v, dx: dInput });
  for (const one of [dq, dk, to.v]) buffers.release(one);
}

/** down(act(gate x) * up x), or down(act(up x)), of normed rows. */
export async function mlpForward(
  tools: PassTools,
  block: RunningBlock,
  spec: MlpSpec,
  input: Float32Array,
): Promise<HalfRun<SavedMlp>> {
  const product = (role: BlockRole, x: Float32Array) =>
    linearForward(tools, linearAt(block, role), block.additions.get(role), x);
  const gate = spec.gate ? await product("mlp.gate", input) : null;
  const up = await product("mlp.up", input);
  const inner = tools.buffers.take(tools.rows, spec.up.rows);
  activateForward(spec.activation, { gate, up }, inner);
  const output = await product("mlp.down", inner);
  tools.buffers.release(inner);
  return { output, saved: { gate, up } };
}

/** The way back of {@link mlpForward}; what was saved is given back. */
export async function mlpBackward(
  tools: PassTools,
  block: RunningBlock,
  spec: MlpSpec,
  { saved, input, d, dInput }: HalfSlopes<SavedMlp>,
): Promise<void> {
  const { buffers, rows } = tools;
  const back = (role: BlockRole, slopes: LinearSlopes) =>
    linearBackward(tools, linearAt(block, role), block.additions.get(role), slopes);
  const { gate, up } = saved;
  const inner = buffers.take(rows, spec.up.rows);
  activateForward(spec.activation, saved, inner);
  const dInner = buffers.take(rows, spec.up.rows);
  await back("mlp.down", { x: inner, dy: d, dx: dInner, fresh: true });
  buffers.release(inner);
  activateBackward(spec.activation, saved, dInner);
  buffers.release(dInner);
  if (gate) await back("mlp.gate", { x: input, dy: gate, dx: dInput });
  await back("mlp.up", { x: input, dy: up, dx: dInput });
  buffers.release(gate);
  buffers.release(up);
}

/** [rows, width] zeros from the buffers. */
export function zeros({ buffers, rows }: PassTools, width: number): Float32Array {
  return buffers.take(rows, width).fill(0);
}

/** A copy of x [rows, …] from the buffers. */
export function copyOf({ buffers, rows }: PassTools, x: Float32Array): Float32Array {
  const copy = buffers.take(rows, x.length / rows);
  copy.set(x);
  return copy;
}

function linearAt({ frozen }: RunningBlock, role: BlockRole): FrozenLinear {
  const found = frozen.linears.get(role);
  if (!found) throw new Error(`tuning: the block has no ${role}`);
  return found;
}

/** Norms x in place; gives what it was, or null where there is no norm. */
function normInPlace(tools: PassTools, norm: FrozenNorm | null, x: Float32Array): Float32Array | null {
  if (!norm) return null;
  const before = copyOf(tools, x);
  normForward(norm, before, x);
  return before;
}

/** The slope before a norm of what was `before` it; `d` and `before` are given back where they are not the result. */
function unnorm(tools: PassTools, norm: FrozenNorm | null, before: Float32Array | null, d: Float32Array): Float32Array {
  if (!norm || !before) return d;
  const dx = zeros(tools, d.length / tools.rows);
  normBackward(norm, { x: before, dy: d, dx });
  tools.buffers.release(d);
  tools.buffers.release(before);
  return dx;
}

function turn(
  { rows }: PassTools,
  { rope }: RunningBlock,
  { heads, kvHeads, headDim }: AttentionSpec,
  { q, k, back }: { readonly q: Float32Array; readonly k: Float32Array; readonly back: boolean },
): void {
  if (!rope) return;
  rotate(q, rope, { rows, heads, headDim }, back);
  rotate(k, rope, { rows, heads: kvHeads, headDim }, back);
}
