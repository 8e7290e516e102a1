/**
 * A mistake the user can mend: one line, exit status 1. Everything else that is thrown is a bug of ours.
 *
 * The message reads "<file>: <what>: expected <x>, found <y>" where those parts exist; `hint` says what to do.
 */
export class UserError extends Error {
  /** Short upper-case name of the kind of mistake, e.g. `BUDGET_UNITS`: stable, for programs. */
  readonly code: string;
  /** What the user can do about it, one sentence. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.name = "UserError";
    this.code = code;
    this.hint = hint;
  }
}

/** What a read gives; null where it throws the UserError of this code: what is not there is an answer then. */
export async function nullOn<T>(code: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof UserError && error.code === code) return null;
    throw error;
  }
}

/**
 * Stopped on request (SIGTERM, SIGINT, an AbortSignal) at a point from which the same command continues: exit status
 * 75.
 */
export class Interrupted extends Error {
  constructor(message = "stopped; run the same command again to continue") {
    super(message);
    this.name = "Interrupted";
  }
}

/** Throws {@link Interrupted} when the signal is aborted; called between units of work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Interrupted();
}
