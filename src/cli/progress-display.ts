import cliProgress from "cli-progress";
import type { Progress } from "../progress.ts";
import { formatDuration } from "./text/number-text.ts";

/** Plain lines come no more often than this. */
const PLAIN_LINE_MS = 10_000;

/** Where progress is written: standard error, or what stands for it. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

/** Long work on standard error: a bar with the time left on a terminal, elsewhere a plain line now and then. */
export class ProgressDisplay {
  private readonly stream: ProgressStream;
  private readonly draws: boolean;
  private readonly now: () => number;
  private bar: cliProgress.SingleBar | null = null;
  private stage = "";
  private stageStartedMs = 0;
  private doneAtStart = 0;
  private lastLineMs: number;

  /** `plain`: lines, also on a terminal. */
  constructor(stream: ProgressStream, options: { readonly plain?: boolean; readonly now?: () => number } = {}) {
    this.stream = stream;
    this.draws = stream.isTTY === true && !options.plain;
    this.now = options.now ?? (() => performance.now());
    this.lastLineMs = this.now();
  }

  show(progress: Progress): void {
    if (progress.stage !== this.stage) this.begin(progress);
    if (progress.note !== undefined) {
      this.clear();
      this.stream.write(`layerwise: ${progress.stage}: ${progress.note}\n`);
    }
    if (!this.draws) this.printNowAndThen(progress);
    else if (progress.done < progress.total) this.draw(progress);
    else this.clear();
  }

  /** Takes the bar away, so that other text can be written; the next report draws it again. */
  clear(): void {
    this.bar?.stop();
    this.bar = null;
  }

  private begin(progress: Progress): void {
    this.clear();
    this.stage = progress.stage;
    this.stageStartedMs = this.now();
    this.doneAtStart = progress.done;
  }

  private draw(progress: Progress): void {
    const payload = { left: this.timeLeft(progress), detail: progress.detail ?? "" };
    if (!this.bar) {
      this.bar = new cliProgress.SingleBar({
        format: `${progress.stage} {bar} {value}/{total}{left} {detail}`,
        stream: this.stream,
        barsize: 24,
        barCompleteChar: "#",
        barIncompleteChar: "-",
        // Its own handler of SIGINT would leave the program; Terminal stops the work instead.
        gracefulExit: false,
        hideCursor: null,
        clearOnComplete: true,
        fps: 5,
        // Work that computes without yielding starves timers, so the bar is drawn when something is reported.
        noTTYOutput: false,
        forceRedraw: true,
      });
      this.bar.start(progress.total, progress.done, payload);
    }
    this.bar.setTotal(progress.total);
    this.bar.update(progress.done, payload);
  }

  private printNowAndThen(progress: Progress): void {
    const now = this.now();
    if (now - this.lastLineMs < PLAIN_LINE_MS) return;
    this.lastLineMs = now;
    const detail = progress.detail ? ` ${progress.detail}` : "";
    this.stream.write(`${progress.stage} ${progress.done}/${progress.total}${this.timeLeft(progress)}${detail}\n`);
  }

  private timeLeft({ done, total }: Progress): string {
    const unitsDone = done - this.doneAtStart;
    if (unitsDone <= 0 || done >= total) return "";
    const msPerUnit = (this.now() - this.stageStartedMs) / unitsDone;
    return `, ${formatDuration(msPerUnit * (total - done))} left`;
  }
}
