/** One report of how far a piece of long work has come. */
export interface Progress {
  /** What is being done, for people: "scoring kl", "quantizing". */
  readonly stage: string;
  /** Units of work finished, of `total`. */
  readonly done: number;
  readonly total: number;
  /** What happens now, e.g. the block's name. */
  readonly detail?: string;
  /** Said once and kept in sight, e.g. how long all of it will take. */
  readonly note?: string;
}

/** Called by long work after each unit; the command line turns it into a bar with the time left. */
export type OnProgress = (progress: Progress) => void;

/** What long-running library functions accept besides their inputs. */
export interface WorkOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}
