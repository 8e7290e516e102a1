/**
 * What decoders keep beside a session or an open model, for the next time: one object of each class, made at its first
 * use. Whoever owns the class owns the object; nobody else need know of it.
 */
export class KeptState {
  private readonly kept = new Map<new () => object, object>();

  /** The object of a class. */
  of<T extends object>(kind: new () => T): T {
    const known = this.kept.get(kind);
    if (known instanceof kind) return known;
    const made = new kind();
    this.kept.set(kind, made);
    return made;
  }
}
