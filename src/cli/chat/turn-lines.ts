/** Begins and ends a turn of several lines, alone or at the ends of its text. */
const FENCE = '"""';

/**
 * Lines of a conversation put together to turns: each line is one, but for lines between `"""` and `"""`, lines that
 * end in a backslash, and lines that were pasted together.
 */
export class TurnLines {
  private lines: string[] = [];
  private fenced = false;

  /** True where lines wait for more. */
  get isOpen(): boolean {
    return this.lines.length > 0 || this.fenced;
  }

  /** The turn that a line completes, or null where more lines belong to it. `pasted`: more of a paste follows. */
  add(line: string, { pasted = false }: { readonly pasted?: boolean } = {}): string | null {
    let text = line;
    if (!this.isOpen && text.trimStart().startsWith(FENCE)) {
      this.fenced = true;
      text = text.trimStart().slice(FENCE.length);
      if (text === "") return null;
    }
    if (this.fenced) {
      const closes = text.trimEnd().endsWith(FENCE);
      const inside = closes ? text.trimEnd().slice(0, -FENCE.length) : text;
      if (!closes || inside !== "") this.lines.push(inside);
      return closes ? this.take() : null;
    }
    const goesOn = !pasted && text.endsWith("\\");
    this.lines.push(goesOn ? text.slice(0, -1) : text);
    return goesOn || pasted ? null : this.take();
  }

  /** What is there, as a turn; null where nothing is. */
  end(): string | null {
    return this.isOpen ? this.take() : null;
  }

  /** Forgets what is there. */
  clear(): void {
    this.lines = [];
    this.fenced = false;
  }

  private take(): string {
    const turn = this.lines.join("\n");
    this.clear();
    return turn;
  }
}
