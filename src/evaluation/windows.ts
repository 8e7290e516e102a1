import { UserError } from "../errors.ts";

/** Which tokens of a window are targets: all but the first, or llama.cpp's second half (N/2 + 1 … N - 1). */
const SCORED = ["all", "second-half"] as const;
type Scored = (typeof SCORED)[number];

/** How a text is cut into windows. */
export interface WindowOptions {
  readonly windowTokens: number;
  /**
   * Distance between the starts of windows; default: windowTokens. Smaller strides score each token once, with more
   * context.
   */
  readonly strideTokens?: number | undefined;
  /**
   * Ids that a text begins with (default none), put in place of the first tokens of every window as llama.cpp does with
   * BOS: one leaves the targets as they are.
   */
  readonly beginning?: readonly number[] | undefined;
  /** Default `all`. */
  readonly scored?: Scored | undefined;
  /** The longest window: positions that the model was made for. */
  readonly maxWindowTokens?: number | undefined;
  /** Only the first so many windows. */
  readonly maxWindows?: number | undefined;
  /** File, for messages. */
  readonly label?: string | undefined;
  /** sha256 of the text the ids came from, kept in the result. */
  readonly textSha256?: string | undefined;
}

/** One window: runs by itself from position 0; targets are ids[firstTarget …]. */
export interface Window {
  readonly ids: Int32Array;
  readonly firstTarget: number;
}

/** The windows of a text and how they were made. */
export interface Windows {
  readonly windows: readonly Window[];
  readonly windowTokens: number;
  readonly strideTokens: number;
  readonly beginning: readonly number[];
  readonly scored: Scored;
  readonly textTokens: number;
  readonly textSha256: string | null;
}

/**
 * Fixed windows of N tokens; what remains at the end is left out. Throws UserError when the text holds less than one
 * window or the numbers make no sense.
 */
export function cutWindows(ids: Int32Array, options: WindowOptions): Windows {
  const { windowTokens, strideTokens = windowTokens, beginning = [], scored = "all", label = "text" } = options;
  checkNumbers(windowTokens, strideTokens, scored, options.maxWindows);
  if (windowTokens <= beginning.length) {
    const message = `window: expected more than the ${beginning.length} tokens that a text begins with`;
    throw new UserError("WINDOW_OPTIONS", `${message}, found ${windowTokens}`);
  }
  if (windowTokens > (options.maxWindowTokens ?? windowTokens)) {
    const message = `window: expected at most the model's ${options.maxWindowTokens} positions, found ${windowTokens}`;
    throw new UserError("WINDOW_TOO_LONG", message, "give a smaller --window");
  }
  if (ids.length < windowTokens) {
    const message = `${label}: text: expected at least one window of ${windowTokens} tokens, found ${ids.length}`;
    throw new UserError("TEXT_TOO_SHORT", message, "give a longer text or a smaller --window");
  }
  const available = Math.floor((ids.length - windowTokens) / strideTokens) + 1;
  const count = Math.min(available, options.maxWindows ?? available);
  const windows = Array.from({ length: count }, (_, i): Window => {
    const start = i * strideTokens;
    const own = ids.slice(start, start + windowTokens);
    own.set(beginning);
    return { ids: own, firstTarget: Math.max(beginning.length, firstTarget(i, windowTokens, strideTokens, scored)) };
  });
  const textSha256 = options.textSha256 ?? null;
  return { windows, windowTokens, strideTokens, beginning, scored, textTokens: ids.length, textSha256 };
}

/** Windows of any lengths, each scored on all but its first token: separate texts rather than one that is cut. */
export function separateWindows(texts: readonly Int32Array[]): Windows {
  const longest = texts.reduce((most, ids) => Math.max(most, ids.length), 0);
  const windows = texts.filter((ids) => ids.length > 1).map((ids) => ({ ids, firstTarget: 1 }));
  return {
    windows,
    windowTokens: longest,
    strideTokens: longest,
    beginning: [],
    scored: "all",
    textTokens: texts.reduce((sum, ids) => sum + ids.length, 0),
    textSha256: null,
  };
}

/** Number of targets in all windows. */
export function countTargets(windows: readonly Window[]): number {
  return windows.reduce((sum, window) => sum + window.ids.length - window.firstTarget, 0);
}

/** With a stride below the window the tokens that an earlier window scored are only context. */
function firstTarget(index: number, windowTokens: number, strideTokens: number, scored: Scored): number {
  if (scored === "second-half") return Math.floor(windowTokens / 2) + 1;
  return index === 0 ? 1 : Math.max(1, windowTokens - strideTokens);
}

function checkNumbers(
  windowTokens: number,
  strideTokens: number,
  scored: Scored,
  maxWindows: number | undefined,
): void {
  const least = scored === "second-half" ? 4 : 2;
  const wanted: [string, number, number][] = [
    ["window", windowTokens, least],
    ["stride", strideTokens, 1],
    ["windows", maxWindows ?? 1, 1],
  ];
  for (const [name, value, minimum] of wanted) {
    if (!Number.isInteger(value) || value < minimum) {
      throw new UserError("WINDOW_OPTIONS", `${name}: expected a whole number >= ${minimum}, found ${value}`);
    }
  }
  if (scored === "second-half" && strideTokens < Math.floor(windowTokens / 2)) {
    const message = `stride: expected >= ${Math.floor(windowTokens / 2)} (half a window) with second-half scoring, found ${strideTokens}`;
    throw new UserError("WINDOW_OPTIONS", message, "a smaller stride would score tokens twice; use --score all");
  }
}
