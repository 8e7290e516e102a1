import { UserError } from "../errors.ts";

/** What a stop matcher lets through. */
interface StopStep {
  /** Text that can no longer be part of a stop string. */
  readonly text: string;
  /** The stop string that was completed; its text and all after it is swallowed. */
  readonly stop: string | null;
}

export interface StopMatcher {
  /** Takes the next piece of text; nothing may follow a step with `stop` set. */
  push(text: string): StopStep;
  /** What was held back, when no more text comes. */
  flush(): string;
}

/**
 * Finds stop strings in streamed text, also across pieces, holding back no more than could still become one.
 * The stop string completed first wins, of several completed at the same character the longest: the result does not
 * depend on how the text is cut into pieces. Throws UserError STOP on an empty stop string.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  if (stops.some((stop) => stop === ""))
    throw new UserError("STOP", "stop string: expected text, found an empty string");
  let held = "";
  return {
    push(text) {
      held += text;
      const found = firstCompleted(held, stops);
      if (found) {
        const before = held.slice(0, found.start);
        held = "";
        return { text: before, stop: found.stop };
      }
      const keep = longestOpenSuffix(held, stops);
      const free = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: free, stop: null };
    },
    flush() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

function firstCompleted(text: string, stops: readonly string[]): { stop: string; start: number } | null {
  let best: { stop: string; start: number } | null = null;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const earlier = best ? start + stop.length - (best.start + best.stop.length) : -1;
    if (earlier < 0 || (earlier === 0 && best && start < best.start)) best = { stop, start };
  }
  return best;
}

/** Length of the longest end of `text` that begins, but does not complete, a stop string. */
function longestOpenSuffix(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1));
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(text.length - length);
    if (stops.some((stop) => stop.length > length && stop.startsWith(end))) return length;
  }
  return 0;
}
