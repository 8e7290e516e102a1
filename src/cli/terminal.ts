import { constants } from "node:os";
import pc from "picocolors";
import { Interrupted } from "../errors.ts";
import { loadNative } from "../native/load.ts";
import type { OnProgress } from "../progress.ts";
import { EXIT } from "./exit-status.ts";
import { ProgressDisplay } from "./progress-display.ts";

/** What TERM is on terminals that know no escape sequences: no colours, and no bar that draws over itself. */
const DUMB = "dumb";

/** For what is being done to come to a safe point; within two seconds of the signal the process has ended. */
const SIGNAL_GRACE_MS = 1000;

export type Colours = ReturnType<typeof pc.createColors>;

/**
 * The standard streams and signals of one command. Results go to standard output: text, or with `--json` exactly one
 * document; everything else goes to standard error.
 */
export class Terminal {
  readonly json: boolean;
  /** Colours for standard output; no-ops where it is no terminal or a dumb one, with NO_COLOR and with --json. */
  readonly colours: Colours;
  /** The same for standard error. */
  readonly noteColours: Colours;
  /** The command continues where it stopped when it is run again. */
  private continues = false;
  private readonly ownsProcess: boolean;
  private readonly progress: ProgressDisplay;
  private readonly aborter = new AbortController();
  private received: "SIGINT" | "SIGTERM" | null = null;
  private documentWritten = false;
  private readonly onSigint = () => this.stop("SIGINT");
  private readonly onSigterm = () => this.stop("SIGTERM");

  /** `ownsProcess`: false where the process has more to do than this command. */
  constructor({ json, ownsProcess }: { json: boolean; ownsProcess: boolean }) {
    this.json = json;
    this.ownsProcess = ownsProcess;
    const wanted = !process.env.NO_COLOR && process.env.TERM !== DUMB && !json;
    this.colours = pc.createColors(Boolean(process.stdout.isTTY) && wanted);
    this.noteColours = pc.createColors(Boolean(process.stderr.isTTY) && wanted);
    this.progress = new ProgressDisplay(process.stderr, { plain: process.env.TERM === DUMB });
  }

  /**
   * Takes SIGINT and SIGTERM from now on: the first aborts `signal`, the second leaves at once. Where JavaScript is
   * busy a thread of the native addon ends the process soon after; without the addon both end it at once, as they do
   * by themselves, since nothing else could.
   */
  takeSignals({ resumable }: { resumable: boolean }): void {
    this.continues = resumable;
    const addon = this.ownsProcess ? loadNative().addon : null;
    if (this.ownsProcess && !addon) return;
    process.on("SIGINT", this.onSigint);
    process.on("SIGTERM", this.onSigterm);
    const { SIGINT, SIGTERM } = constants.signals;
    const statuses = [SIGINT, SIGTERM].map((number) => this.stopStatus(number)) as [number, number];
    addon?.endAfterSignals(SIGNAL_GRACE_MS, ...statuses, `layerwise: ${this.stopMessage}\n`);
  }

  get signal(): AbortSignal {
    return this.aborter.signal;
  }

  /** The exit status of a command that a signal stopped. */
  get signalExitCode(): number {
    return this.stopStatus(constants.signals[this.received ?? "SIGINT"]);
  }

  /** What is said of it. */
  get stopMessage(): string {
    return this.continues ? new Interrupted().message : "stopped";
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

  private stopStatus(signalNumber: number): number {
    return this.continues ? EXIT.stopped : 128 + signalNumber;
  }

  private stop(name: "SIGINT" | "SIGTERM"): void {
    if (this.received) process.exit(this.signalExitCode);
    this.received = name;
    this.aborter.abort();
  }
}
