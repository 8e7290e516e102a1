import readline from "node:readline";
import { PassThrough } from "node:stream";
import { TurnLines } from "./turn-lines.ts";

/** Asks a terminal to mark what is pasted, and to stop that. */
const MARK_PASTES = "\u001b[?2004h";
const LEAVE_PASTES = "\u001b[?2004l";

interface TurnReaderOptions {
  readonly input: NodeJS.ReadableStream;
  /** The terminal that shows what is typed; null where nobody types. */
  readonly screen: NodeJS.WritableStream | null;
  /** Called for Ctrl-C; true where that stopped something, and the line is to stay. */
  readonly onInterrupt: () => boolean;
}

/**
 * Turns that a person types or a pipe gives, in order. At a terminal a paste is one turn, and Ctrl-C clears what is
 * typed, or ends the conversation where nothing is.
 */
export class TurnReader {
  private readonly lines: readline.Interface;
  private readonly assembled = new TurnLines();
  private readonly turns = new PassThrough({ objectMode: true });
  private readonly screen: NodeJS.WritableStream | null;
  private pasting = false;

  constructor({ input, screen, onInterrupt }: TurnReaderOptions) {
    this.screen = screen;
    this.lines = readline.createInterface({ input, output: screen ?? undefined });
    this.lines.on("line", (line) => this.onLine(line));
    this.lines.on("close", () => this.onClose());
    this.lines.on("SIGINT", () => onInterrupt() || this.clearOrClose());
    if (!screen) return;
    screen.write(MARK_PASTES);
    input.on("keypress", (_text, key?: { readonly name?: string }) => {
      if (key?.name === "paste-start") this.pasting = true;
      else if (key?.name === "paste-end") this.pasting = false;
    });
  }

  /** Shows that a turn, or more of one, may be typed; nothing without a terminal. */
  prompt(): void {
    if (!this.screen || this.pasting) return;
    this.lines.setPrompt(this.assembled.isOpen ? "... " : "> ");
    this.lines.prompt();
  }

  close(): void {
    this.lines.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      for await (const turn of this.turns) yield String(turn);
    } finally {
      // Not where input ends, which may be in the middle of an answer.
      this.screen?.write(LEAVE_PASTES);
    }
  }

  private onLine(line: string): void {
    const turn = this.assembled.add(line, { pasted: this.pasting });
    if (turn === null) this.prompt();
    else this.turns.write(turn);
  }

  private onClose(): void {
    const turn = this.assembled.end();
    if (turn !== null && !this.screen) this.turns.write(turn);
    this.turns.end();
  }

  private clearOrClose(): void {
    if (this.lines.line === "" && !this.assembled.isOpen) {
      this.lines.close();
      return;
    }
    this.assembled.clear();
    // Readline has no call that empties its line: these are the keys that delete to its end and to its start.
    this.lines.write(null, { ctrl: true, name: "k" });
    this.lines.write(null, { ctrl: true, name: "u" });
    this.screen?.write("^C\n");
    this.prompt();
  }
}
