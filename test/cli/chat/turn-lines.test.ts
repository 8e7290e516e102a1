import { describe, expect, test } from "vitest";
import { TurnLines } from "../../../src/cli/chat/turn-lines.ts";

/** What becomes of lines, one after the other. */
function turnsOf(...lines: string[]): (string | null)[] {
  const assembled = new TurnLines();
  return lines.map((line) => assembled.add(line));
}

describe("lines of a conversation", () => {
  test("each is a turn", () => {
    expect(turnsOf("one", "", " two ")).toEqual(["one", "", " two "]);
  });

  test("between fences they are one, the fences on lines of their own or not", () => {
    expect(turnsOf('"""', "a", "", "b", '"""', "c")).toEqual([null, null, null, null, "a\n\nb", "c"]);
    expect(turnsOf('"""a', 'b"""', "c")).toEqual([null, "a\nb", "c"]);
    expect(turnsOf('"""a"""', 'say """ here')).toEqual(["a", 'say """ here']);
  });

  test("a backslash at the end takes the next line along", () => {
    expect(turnsOf("a\\", "b\\", "c", "d")).toEqual([null, null, "a\nb\nc", "d"]);
  });

  test("pasted lines are one turn, with what is typed behind them", () => {
    const assembled = new TurnLines();
    expect(assembled.add("first paragraph\\", { pasted: true })).toBeNull();
    expect(assembled.add("", { pasted: true })).toBeNull();
    expect(assembled.isOpen).toBe(true);
    expect(assembled.add("second")).toBe("first paragraph\\\n\nsecond");
    expect(assembled.isOpen).toBe(false);
  });

  test("what is open can be forgotten, or taken at the end of input", () => {
    const assembled = new TurnLines();
    assembled.add('"""');
    assembled.add("a");
    expect(assembled.end()).toBe("a");
    expect(assembled.end()).toBeNull();
    assembled.add("b\\");
    assembled.clear();
    expect(assembled.add("c")).toBe("c");
  });
});
