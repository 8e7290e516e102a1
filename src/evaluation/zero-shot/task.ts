/**
 * One way to answer: how likely is `continuation` after `context`? Both are text; a continuation begins with its space.
 */
export interface Choice {
  readonly context: string;
  readonly continuation: string;
  /** UTF-8 bytes by which acc_norm divides the log-likelihood: of the answer itself, without the space before it. */
  readonly answerBytes: number;
}

/** One question with its choices. */
export interface Example {
  readonly choices: readonly Choice[];
  /** Index of the right choice. */
  readonly gold: number;
}

/**
 * How the choices of a task decide. `choose`: the likeliest wins; `continue`: the one choice counts where greedy
 * decoding writes it.
 */
type TaskKind = "choose" | "continue";

/** A task: where its examples are and how they are read. */
export interface Task {
  readonly kind: TaskKind;
  /** Name of the file in the tasks folder, unpacked. */
  readonly file: string;
  /** False where all choices end in the same words, so that their lengths say nothing: there is no acc_norm. */
  readonly normalised: boolean;
  /** The examples of a file's text. Throws UserError ZERO_SHOT_FILE with file and line. */
  parse(text: string, label: string): Example[];
}

/** A choice whose answer follows the context after a space. */
export function answer(context: string, text: string): Choice {
  return { context, continuation: ` ${text}`, answerBytes: new TextEncoder().encode(text).length };
}
