import { constants } from "node:os";
import pc from "picocolors";
import type { OnProgress } from "../progress.ts";
import { ProgressDisplay } from "./progress-display.ts";

export type Colours = ReturnType<typeof pc.createColors>;

/**
 * The standard streams and signals of one command. Results go to standard output: text, or with `--json` exactly one
 * document; everything else goes to standard error. The first SIGINT or SIGTERM aborts `signal`, the second leaves at
 * once.
 */
export class Terminal {
  readonly json: boolean;
  /** Colours for standard output; no-ops where it is not a terminal, with NO_COLOR and with --json. */
  readonly colours: Colours;
  /** The same for standard error. */
  readonly noteColours: Colours;
  /** Set by commands that continue where they stopped when they are run again. */
  resumable = false;
  private readonly progress: ProgressDisplay;
  private readonly aborter = new AbortController();
  private received: "SIGINT" | "SIGTERM" | null = null;
  private documentWritten = false;
  private readonly onSigint = () => this.stop("SIGINT");
  private readonly onSigterm = () => this.stop("SIGTERM");

  constructor({ json }: { json: boolean }) {
    this.json = json;
    const wanted = !process.env.NO_COLOR && !json;
    this.colours = pc.createColors(Boolean(process.stdout.isTTY) && wanted);
    this.noteColours = pc.createColors(Boolean(process.stderr.isTTY) && wanted);
    this.progress = new ProgressDisplay(process.stderr);
    process.on("SIGINT", this.onSigint);
    process.on("SIGTERM", this.onSigterm);
  }

  get signal(): AbortSignal {
    return this.aborter.signal;
  }

  /** 128 + the number of the signal received. */
  get signalExitCode(): number {
    return 128 + constants.signals[this.received ?? "SIGINT"];
  }

  get helpWidth(): number {
    return Math.min(process.stdout.columns ?? 100, 110);
  }

  readonly onProgress: OnProgress = (progress) => this.progress.show(progress);

  /** Raw text of the result, e.g. generated tokens. */
  write(text: string): void {
    this.progress.clear();
    process.stdout.write(text);
  }

  /** One line (or table) of the result for people; nothing with --json. */
  print(line: string): void {
    if (!this.json) this.write(`${line}\n`);
  }

  /** A line on standard error. */
  note(line: string): void {
    this.progress.clear();
    process.stderr.write(`${line}\n`);
  }

  /** The one JSON document; nothing without --json. */
  document(value: unknown): void {
    if (!this.json) return;
    if (this.documentWritten) throw new Error("a second JSON document");
    this.documentWritten = true;
    this.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** `{ error }` as the document, unless the command has written its own. */
  failureDocument(error: { code: string; message: string; hint: string | null }): void {
    if (!this.documentWritten) this.document({ error });
  }

  close(): void {
    this.progress.clear();
    process.off("SIGINT", this.onSigint);
    process.off("SIGTERM", this.onSigterm);
  }

  private stop(name: "SIGINT" | "SIGTERM"): void {
    if (this.received) process.exit(this.signalExitCode);
    this.received = name;
    this.aborter.abort();
  }
}
