import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import path from "node:path";
import { isDead, type LockOwner, readOwner, thisProcess } from "./lock-owner.ts";

/** The note of a lock's holder. */
const SETTLED = ".owner.json";
/** Notes of processes that want the lock, have it since this moment, or let it go just now. */
const PASSING = /^\.owner-.*\.json$/;

/** A process that lives, or may live, and holds the lock or may hold it. */
export interface Holder {
  /** Null where its note may not be read. */
  readonly owner: LockOwner | null;
  /** It surely holds the lock; else it may just be about to take it, or to let it go. */
  readonly settled: boolean;
}

/** The notes beside a folder's lock: which processes hold it, or may. */
export class LockNotes {
  private readonly folder: string;
  private readonly name = `.owner-${process.pid}-${randomBytes(4).toString("hex")}.json`;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Leaves this process's note, before it takes the lock. What is half-written is of nobody who holds it. */
  async leave(): Promise<void> {
    await fs.writeFile(this.at(this.name), JSON.stringify(await thisProcess()));
  }

  /** Removes it, after the lock was let go or not got. */
  async withdraw(): Promise<void> {
    await fs.rm(this.at(this.name), { force: true }).catch(() => undefined);
  }

  /** Makes it the holder's, which it is from now on. */
  async settle(): Promise<void> {
    await fs.rename(this.at(this.name), this.at(SETTLED));
  }

  /** Makes it a passing one, before the lock is let go. */
  async unsettle(): Promise<void> {
    await fs.rename(this.at(SETTLED), this.at(this.name)).catch(() => undefined);
  }

  /** Who holds the lock, or may; null: nobody does. */
  async holder(): Promise<Holder | null> {
    // A note is renamed while we look: from passing to settled, seen first; or the other way, seen last.
    const before = await this.passing();
    const settled = await this.living(SETTLED);
    return settled ? { owner: settled.owner, settled: true } : (before ?? (await this.passing()));
  }

  /** Removes the notes of dead processes, and those that say nothing. */
  async removeDead(): Promise<void> {
    for (const name of [SETTLED, ...(await this.passingNames())]) {
      if (!(await this.living(name))) await fs.rm(this.at(name), { force: true });
    }
  }

  private async passing(): Promise<Holder | null> {
    for (const name of await this.passingNames()) {
      const found = await this.living(name);
      if (found) return { owner: found.owner, settled: false };
    }
    return null;
  }

  private async passingNames(): Promise<string[]> {
    return (await fs.readdir(this.folder)).filter((name) => PASSING.test(name) && name !== this.name);
  }

  /** Whose note it is; null where there is none, where it says nothing, or where that process is dead. */
  private async living(name: string): Promise<{ readonly owner: LockOwner | null } | null> {
    const note = await readOwner(this.at(name));
    if (note === null || note === "unreadable") return note && { owner: null };
    return (await isDead(note)) ? null : { owner: note };
  }

  private at(name: string): string {
    return path.join(this.folder, name);
  }
}
