/** In which turns windows are tuned. */
export const WINDOW_ORDERS = ["shallow-to-deep", "round-robin", "by-loss"] as const;
export type WindowOrder = (typeof WINDOW_ORDERS)[number];

/** A window: blocks [from, to). */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** What a turn gave. */
export interface TurnResult {
  readonly window: number;
  readonly steps: number;
  /** Mean loss of the turn's first and last steps. */
  readonly firstLoss: number;
  readonly lastLoss: number;
}

/** A run of steps on one window. */
export interface Turn {
  readonly window: number;
  readonly steps: number;
}

/** The windows of a model, the last one smaller where the blocks do not share out evenly. */
export function windowsOf(blocks: number, size: number | "all", firstBlock = 0): Window[] {
  const width = size === "all" ? blocks - firstBlock : size;
  const windows: Window[] = [];
  for (let from = firstBlock; from < blocks; from += width) windows.push({ from, to: Math.min(blocks, from + width) });
  return windows;
}

/** Steps that a window gets when they are shared out evenly; earlier windows get what is left over. */
function evenShare(steps: number, windows: number, window: number): number {
  return Math.floor(steps / windows) + (window < steps % windows ? 1 : 0);
}

interface OrderState {
  readonly windows: number;
  readonly steps: number;
  readonly turn: number;
  readonly past: readonly TurnResult[];
}

const NEXT: Readonly<Record<WindowOrder, (state: OrderState) => number>> = {
  "shallow-to-deep": ({ past }) => past.length,
  "round-robin": ({ windows, past }) => past.length % windows,
  // Each once; then the window whose loss fell most a step in its last turn.
  "by-loss": ({ windows, past }) => {
    if (past.length < windows) return past.length;
    const fall = (window: number) => {
      const last = past.findLast((turn) => turn.window === window);
      return last ? (last.firstLoss - last.lastLoss) / last.steps : 0;
    };
    const falls = Array.from({ length: windows }, (_, window) => fall(window));
    return falls.indexOf(Math.max(...falls));
  },
};

/** The next turn; null where all steps are done. `past`: the turns so far, whole. */
export function nextTurn(order: WindowOrder, state: OrderState): Turn | null {
  const done = state.past.reduce((sum, { steps }) => sum + steps, 0);
  if (done >= state.steps) return null;
  const window = NEXT[order](state);
  if (order === "shallow-to-deep") return { window, steps: evenShare(state.steps, state.windows, window) };
  return { window, steps: Math.min(state.turn, state.steps - done) };
}
