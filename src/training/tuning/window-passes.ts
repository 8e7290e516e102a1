import type { Maths } from "../../maths/maths.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { type RopeTable, ropeRegime, ropeTable } from "../../model/rope.ts";
import { blockBackward, blockForward, type SavedBlock } from "./block/block-passes.ts";
import type { FrozenBlock } from "./block/frozen-block.ts";
import type { RunningBlock } from "./block/half-passes.ts";
import type { PassTools } from "./block/linear-passes.ts";
import type { BlockAdditions } from "./block/low-rank.ts";
import type { RowBuffers } from "./block/row-buffers.ts";

/** Consecutive blocks with their additions. */
export interface WindowBlocks {
  readonly spec: DecoderSpec;
  readonly blocks: readonly FrozenBlock[];
  readonly additions: readonly BlockAdditions[];
}

/** How a window runs. */
export interface WindowTools {
  readonly maths: Maths;
  readonly buffers: RowBuffers;
  /** Keep each block's input alone and run it again on the way back: less memory, a third more time. */
  readonly recompute: boolean;
}

/** A window's run of one sequence. */
export interface WindowRun {
  /** [rows, hiddenSize] after the last block */
  readonly output: Float32Array;
  /**
   * Adds the slopes of learned additions, given that of the output, which is written over; call it once. Gives all
   * memory back.
   */
  backward(d: Float32Array): Promise<void>;
}

/** Runs a sequence's states x [rows, hiddenSize] through the window; x is the caller's, and stays as it is. */
export async function runWindow(tools: WindowTools, window: WindowBlocks, x: Float32Array): Promise<WindowRun> {
  const rows = x.length / window.spec.hiddenSize;
  const passTools: PassTools = { maths: tools.maths, buffers: tools.buffers, rows };
  const ropes = new Map<string, RopeTable>();
  const running = window.blocks.map((frozen, i): RunningBlock => {
    return { frozen, additions: window.additions[i], rope: ropeOf(frozen, rows, ropes) };
  });
  const inputs: Float32Array[] = [];
  const saved: (SavedBlock | null)[] = [];
  let at = x;
  for (const block of running) {
    inputs.push(at);
    const run = await blockForward(passTools, block, at);
    if (tools.recompute) releaseSaved(tools.buffers, run.saved);
    saved.push(tools.recompute ? null : run.saved);
    at = run.output;
  }
  return {
    output: at,
    async backward(d) {
      tools.buffers.release(at);
      for (let i = running.length - 1; i >= 0; i--) {
        let kept = saved[i];
        if (!kept) {
          const again = await blockForward(passTools, running[i], inputs[i]);
          tools.buffers.release(again.output);
          kept = again.saved;
        }
        await blockBackward(passTools, running[i], { x: inputs[i], saved: kept, d, wanted: i > 0 });
        if (i > 0) tools.buffers.release(inputs[i]);
      }
    },
  };
}

function ropeOf({ spec }: FrozenBlock, rows: number, known: Map<string, RopeTable>): RopeTable | null {
  const rope = spec.attention?.rope;
  if (!rope) return null;
  const key = JSON.stringify(rope);
  const table =
    known.get(key) ??
    ropeTable(
      rope,
      Int32Array.from({ length: rows }, (_, i) => i),
      ropeRegime(rope, rows),
    );
  known.set(key, table);
  return table;
}

function releaseSaved(buffers: RowBuffers, { attention, mlp, between }: SavedBlock): void {
  const arrays = [
    ...(attention
      ? [
          ...Object.values(attention.half.heads),
          ...Object.values(attention.half.unnormed),
          ...Object.values(attention.half.attended),
          attention.output,
        ]
      : []),
    ...(mlp ? [mlp.half.gate, mlp.half.up, mlp.output] : []),
    between,
  ];
  for (const one of arrays) buffers.release(one);
}
