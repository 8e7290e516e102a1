import { type DecodeOptions, exitsOfDecode } from "../../decoding/drafters/index.ts";
import type { GeneratedPiece } from "../../decoding/generate.ts";
import type { Colours, Terminal } from "../terminal.ts";

/** Colours of the exits from the first one on, again from the first where there are more exits. */
const PALETTE = ["green", "cyan", "yellow", "magenta", "blue", "red"] as const;
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/**
 * Shows at which depth tokens were proposed: those of full depth as they are, the others coloured or marked by their
 * exit.
 */
export interface ExitMarks {
  /** A piece's text, in its colour; without colours the blocks that ran stand behind it, as in "lake₈". */
  text(piece: GeneratedPiece): string;
  /** One line that says what the marks mean, and which share of the tokens, whose depths are given, has each. */
  legend(depths: readonly number[]): string;
}

/** Marks for a model of so many blocks, as the terminal can show them; null: none are wanted. */
export function exitMarks(
  wanted: boolean | undefined,
  { decode, blocks, terminal }: { decode: DecodeOptions; blocks: number; terminal: Terminal },
): ExitMarks | null {
  if (!wanted || terminal.json) return null;
  const exits = (exitsOfDecode(decode)?.exits ?? []).map((exit) => exit.blocks);
  return createExitMarks({ exits, blocks, colours: terminal.colours, noteColours: terminal.noteColours });
}

/** The same, of exits after so many blocks; `noteColours`: those of the legend. */
export function createExitMarks({
  exits,
  blocks,
  colours,
  noteColours,
}: {
  readonly exits: readonly number[];
  readonly blocks: number;
  readonly colours: Colours;
  readonly noteColours: Colours;
}): ExitMarks {
  const colourOf = (depth: number) => PALETTE[exits.indexOf(depth) % PALETTE.length];
  const left = (depth: number | null): depth is number => depth !== null && exits.includes(depth);
  return {
    text({ text, blocks: depth }) {
      if (text === "" || !left(depth)) return text;
      if (colours.isColorSupported) return colours[colourOf(depth)](text);
      // Before a line's end, so that the mark stays on the line of its token.
      return text.replace(/\s*$/, (space) => subscript(depth) + space);
    },
    legend(depths) {
      const shares = [...exits, blocks].map((depth) => {
        const tokens = depths.filter((one) => one === depth).length;
        const share = `${Math.round((100 * tokens) / Math.max(1, depths.length))} %`;
        if (!left(depth)) return `unmarked all ${depth} blocks ${share}`;
        const name = colours.isColorSupported ? noteColours[colourOf(depth)](colourOf(depth)) : subscript(depth);
        return `${name} after ${depth} blocks ${share}`;
      });
      return `exits: ${shares.join(", ")}`;
    },
  };
}

function subscript(depth: number): string {
  return String(depth).replace(/\d/g, (digit) => SUBSCRIPTS[Number(digit)]);
}
