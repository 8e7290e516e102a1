import { promises as fs } from "node:fs";
import path from "node:path";
import lockfile from "proper-lockfile";
import { UserError } from "../errors.ts";
import { fileError, writeFileAtomic } from "./files.ts";
import { isDead, readOwner, thisProcess } from "./lock-owner.ts";

/** Long, since packing a block may keep the event loop, and with it the lock's heartbeat, waiting. */
const STALE_MS = 120_000;
const HEARTBEAT_MS = 20_000;
/** Taking over a dead process's lock lasts milliseconds. */
const TAKEOVER_STALE_MS = 10_000;

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
  /** Names the process that holds it; absent while none does. */
  readonly owner: string;
  /** Held by whoever takes a dead process's lock over, so that only one does. */
  readonly takeover: string;
}

type Release = () => Promise<void>;

/**
 * Locks an existing folder against other writers, of this process or another. A lock whose owner has died is taken
 * over at once, one without a sign of life (another machine) after two minutes. Throws UserError `RUN_FOLDER_LOCKED`.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const files: LockFiles = {
    folder,
    lock: path.join(folder, ".lock"),
    owner: path.join(folder, ".owner.json"),
    takeover: path.join(folder, ".takeover"),
  };
  let lost = false;
  const onLost = () => {
    lost = true;
  };
  const release = (await acquire(files, onLost)) ?? (await takeOver(files, onLost));
  if (!release) throw await lockedError(files);
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
      if (!lost) await letGo(files, release);
    },
  };
}

/** Takes the lock and notes its owner; null where it is taken. */
async function acquire(files: LockFiles, onLost: () => void): Promise<Release | null> {
  const release = await hold(files.folder, files.lock, STALE_MS, onLost);
  if (!release) return null;
  try {
    await writeFileAtomic(files.owner, JSON.stringify(await thisProcess()));
    return release;
  } catch (error) {
    await letGo(files, release);
    throw error;
  }
}

/** Takes the lock from an owner that has died; null where it lives or nothing is known of it. */
async function takeOver(files: LockFiles, onLost: () => void): Promise<Release | null> {
  if (!(await ownerIsDead(files))) return null;
  const done = await hold(files.folder, files.takeover, TAKEOVER_STALE_MS, () => undefined);
  if (!done) return null;
  try {
    // Again, now that nobody else takes over: the owner may be new.
    if (!(await ownerIsDead(files))) return null;
    await fs.rm(files.owner, { force: true });
    await fs.rmdir(files.lock).catch(() => undefined);
    return await acquire(files, onLost);
  } finally {
    await done();
  }
}

/**
 * First the owner's note: a lock without one counts as alive, never as a dead process's. A disk that has become
 * read-only keeps both; they are taken over once this process has ended, so the run's own error is not hidden.
 */
async function letGo(files: LockFiles, release: Release): Promise<void> {
  await fs.rm(files.owner, { force: true }).catch(() => undefined);
  await release().catch(() => undefined);
}

async function ownerIsDead(files: LockFiles): Promise<boolean> {
  const owner = await readOwner(files.owner);
  return owner !== null && (await isDead(owner));
}

async function hold(folder: string, lock: string, stale: number, onCompromised: () => void): Promise<Release | null> {
  try {
    const update = Math.min(HEARTBEAT_MS, stale / 2);
    return await lockfile.lock(lock, { lockfilePath: lock, realpath: false, stale, update, onCompromised });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ELOCKED") return null;
    throw fileError(error, folder, "lock");
  }
}

async function lockedError(files: LockFiles): Promise<UserError> {
  const owner = await readOwner(files.owner);
  const by = owner ? `process ${owner.pid} on ${owner.host}` : "another process";
  return new UserError(
    "RUN_FOLDER_LOCKED",
    `${files.folder}: expected a run folder that nobody writes to, found it in use by ${by}`,
    "wait for that run to end, or choose another folder",
  );
}
