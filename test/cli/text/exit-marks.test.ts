import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { createExitMarks } from "../../../src/cli/text/exit-marks.ts";

const colours = pc.createColors(true);
const plain = pc.createColors(false);
const of = (shown: typeof colours, exits = [8, 16]) =>
  createExitMarks({ exits, blocks: 30, colours: shown, noteColours: shown });
const piece = (text: string, blocks: number | null) => ({ id: 1, text, blocks });

describe("marks of exits", () => {
  it("are colours, one an exit", () => {
    const { text, legend } = of(colours);
    expect(text(piece(" lake", 8))).toBe(colours.green(" lake"));
    expect(text(piece(" lake", 16))).toBe(colours.cyan(" lake"));
    expect(text(piece(" lake", 30))).toBe(" lake");
    expect(legend([8, 8, 30, 16])).toBe(
      `exits: ${colours.green("green")} after 8 blocks 50 %, ${colours.cyan("cyan")} after 16 blocks 25 %, unmarked all 30 blocks 25 %`,
    );
  });

  it("are small numbers behind the token without colours, on its own line", () => {
    const { text, legend } = of(plain);
    expect([piece(" lake", 8), piece("lake\n\n", 16), piece("\n", 8)].map(text)).toEqual([
      ...[" lake₈", "lake₁₆\n\n", "₈\n"],
    ]);
    expect([piece("", 8), piece("lake", 30), piece("held", null)].map(text)).toEqual(["", "lake", "held"]);
    expect(legend([])).toBe("exits: ₈ after 8 blocks 0 %, ₁₆ after 16 blocks 0 %, unmarked all 30 blocks 0 %");
  });

  it("begin again with the first colour where there are many exits", () => {
    const { text } = of(colours, [1, 2, 3, 4, 5, 6, 7]);
    expect(text(piece("a", 7))).toBe(colours.green("a"));
    expect(text(piece("a", 6))).toBe(colours.red("a"));
  });
});
