import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { TurnReader } from "../../../src/cli/chat/turn-reader.ts";

/** A terminal on which keys are typed, and what it shows. */
function atTerminal({ interrupts = false } = {}) {
  const input = new PassThrough();
  const screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const reader = new TurnReader({ input, screen, onInterrupt: () => interrupts });
  reader.prompt();
  return { input, screen, reader };
}

async function turnsOf(reader: TurnReader): Promise<string[]> {
  const turns: string[] = [];
  for await (const turn of reader) turns.push(turn);
  return turns;
}

const END = "\u0004";
const INTERRUPT = "\u0003";

describe("turns at a terminal", () => {
  test("pasted paragraphs are one turn, ended by the person's own Enter", async () => {
    const { input, reader } = atTerminal();
    input.write("\u001b[200~one\r\rtwo\u001b[201~");
    input.write(" three\rnext\r");
    input.write(END);
    expect(await turnsOf(reader)).toEqual(["one\n\ntwo three", "next"]);
  });

  test("Ctrl-C clears the line and what was pasted before it", async () => {
    const { input, reader } = atTerminal();
    input.write(`wrong${INTERRUPT}right\r`);
    input.write(`\u001b[200~a\rb\u001b[201~${INTERRUPT}c\r"""\rd\r${INTERRUPT}e\r${END}`);
    expect(await turnsOf(reader)).toEqual(["right", "c", "e"]);
  });

  test("Ctrl-C on an empty line ends the conversation, unless it stopped an answer", async () => {
    const empty = atTerminal();
    empty.input.write(`${INTERRUPT}not read\r`);
    expect(await turnsOf(empty.reader)).toEqual([]);
    const answering = atTerminal({ interrupts: true });
    answering.input.write(`${INTERRUPT}typed${INTERRUPT}\r${END}`);
    expect(await turnsOf(answering.reader)).toEqual(["typed"]);
  });

  test("the terminal is asked to mark pastes, and to stop that in the end", async () => {
    const { input, screen, reader } = atTerminal();
    input.write(END);
    await turnsOf(reader);
    const shown = String(screen.read());
    expect(shown.startsWith("\u001b[?2004h")).toBe(true);
    expect(shown.endsWith("\u001b[?2004l")).toBe(true);
  });

  test("and not where input ends while an answer is being written", async () => {
    const { input, screen, reader } = atTerminal();
    input.write(`one\r${END}`);
    for await (const turn of reader) {
      await new Promise(setImmediate);
      screen.write(`an answer to ${turn}`);
    }
    expect(String(screen.read()).endsWith("an answer to one\u001b[?2004l")).toBe(true);
  });
});

describe("turns of a pipe", () => {
  test("each line is one; what is open at the end is too", async () => {
    const input = new PassThrough();
    const reader = new TurnReader({ input, screen: null, onInterrupt: () => false });
    reader.prompt();
    input.end('one\ntwo\n"""\na\nb');
    expect(await turnsOf(reader)).toEqual(["one", "two", "a\nb"]);
  });
});
