import { promises as fs } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import lockfile from "proper-lockfile";
import { UserError } from "../errors.ts";
import { fileError } from "./files.ts";
import { type Holder, LockNotes } from "./lock-notes.ts";
import { runsElsewhere } from "./lock-owner.ts";

/** Long, since packing a block may keep the event loop, and with it the lock's heartbeat, waiting. */
const STALE_MS = 120_000;
const HEARTBEAT_MS = 20_000;
/** Taking over a dead process's lock lasts milliseconds: a mark older than this is of one that was killed meanwhile. */
const TAKEOVER_STALE_MS = 5_000;
const TAKEOVER_RETRY_MS = 250;
/** How often, and at most how long each time, one steps back for another process that takes the lock just now. */
const TURNS = 12;
const TURN_MS = 150;

/** The right to write into a folder, held until `release`. */
export interface FolderLock {
  /** Throws UserError `RUN_FOLDER_LOST` when another process took the lock over (this one slept for minutes). */
  assertHeld(): void;
  release(): Promise<void>;
}

interface LockFiles {
  readonly folder: string;
  /** What proper-lockfile holds. */
  readonly lock: string;
  /** Held by whoever takes a dead process's lock over, so that only one does. */
  readonly takeover: string;
}

type Release = () => Promise<void>;

/**
 * Locks an existing folder against other writers, of this process or another. A lock that no living process holds is
 * taken over at once, one of another machine after two minutes without a sign of life. Throws UserError
 * `RUN_FOLDER_LOCKED`, which says until when where that is known.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const files: LockFiles = { folder, lock: path.join(folder, ".lock"), takeover: path.join(folder, ".takeover") };
  const notes = new LockNotes(folder);
  let lost = false;
  const release = await take(files, notes, () => {
    lost = true;
  });
  return {
    assertHeld() {
      if (!lost) return;
      throw new UserError(
        "RUN_FOLDER_LOST",
        `${folder}: another process took this run folder over`,
        "run the command again",
      );
    },
    async release() {
      if (!lost) await letGo(notes, release);
    },
  };
}

/**
 * Takes the lock, from a dead process too. Who holds it has a note at every moment, from before it is taken until after
 * it is let go: where no note is of a living process, nobody holds it. Two who want it at once see each other's notes,
 * and cannot tell who has it: both step back for a while.
 */
async function take(files: LockFiles, notes: LockNotes, onLost: () => void): Promise<Release> {
  for (let turn = 1; ; turn++) {
    let holder: Holder | null;
    try {
      await notes.leave();
      const release = await hold(files.folder, files.lock, STALE_MS, { onLost });
      if (release) return await settle(notes, release);
      holder = await notes.holder();
      const taken = holder ? null : await takeOver(files, notes, onLost);
      if (taken) return await settle(notes, taken);
      holder ??= await notes.holder();
    } catch (error) {
      await notes.withdraw();
      throw fileError(error, files.folder, "lock");
    }
    await notes.withdraw();
    if (holder?.settled || turn === TURNS) throw await lockedError(files, holder);
    await sleep(Math.random() * TURN_MS);
  }
}

async function settle(notes: LockNotes, release: Release): Promise<Release> {
  try {
    await notes.settle();
    return release;
  } catch (error) {
    await letGo(notes, release);
    throw error;
  }
}

/** Takes a lock that nobody holds; null where another process was quicker. */
async function takeOver(files: LockFiles, notes: LockNotes, onLost: () => void): Promise<Release | null> {
  const retries = TAKEOVER_STALE_MS / TAKEOVER_RETRY_MS + 1;
  const done = await hold(files.folder, files.takeover, TAKEOVER_STALE_MS, { retries });
  if (!done) return null;
  try {
    // Again, now that nobody else takes over: there may be a new holder.
    if (await notes.holder()) return null;
    await notes.removeDead();
    await fs.rmdir(files.lock).catch(() => undefined);
    return await hold(files.folder, files.lock, STALE_MS, { onLost });
  } finally {
    await done().catch(() => undefined);
  }
}

/**
 * A disk that has become read-only keeps lock and note; they are taken over once this process has ended, so the run's
 * own error is not hidden.
 */
async function letGo(notes: LockNotes, release: Release): Promise<void> {
  await notes.unsettle();
  await release().catch(() => undefined);
  await notes.withdraw();
}

interface HoldOptions {
  readonly onLost?: () => void;
  readonly retries?: number;
}

async function hold(
  folder: string,
  lock: string,
  stale: number,
  { onLost = () => undefined, retries = 0 }: HoldOptions,
): Promise<Release | null> {
  try {
    return await lockfile.lock(lock, {
      ...{ lockfilePath: lock, realpath: false, stale, update: Math.min(HEARTBEAT_MS, stale / 2) },
      retries: { retries, factor: 1, minTimeout: TAKEOVER_RETRY_MS, maxTimeout: TAKEOVER_RETRY_MS },
      onCompromised: onLost,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ELOCKED") return null;
    throw fileError(error, folder, "lock");
  }
}

async function lockedError(files: LockFiles, holder: Holder | null): Promise<UserError> {
  const owner = holder?.owner;
  const by = owner ? `process ${owner.pid} on ${owner.host}` : "another process";
  const until = owner && !(await runsElsewhere(owner)) ? null : await staleAt(files.lock);
  const ended = until === null ? "" : `, if it has ended wait until ${until}, when its lock is taken over`;
  return new UserError(
    "RUN_FOLDER_LOCKED",
    `${files.folder}: expected a run folder that nobody writes to, found it in use by ${by}`,
    `wait for that run to end${ended}, or choose another folder`,
  );
}

/** When a lock without further signs of life may be taken; null where it is gone. */
async function staleAt(lock: string): Promise<string | null> {
  const found = await fs.stat(lock).catch(() => null);
  return found && new Date(Math.ceil((found.mtimeMs + STALE_MS) / 1000) * 1000).toISOString().replace(".000", "");
}
