/** What was made known to an executor, by its name. */
export class Named<T> {
  private readonly what: string;
  private readonly loaded = new Map<string, T>();

  /** `what`: what it is called in a message: "head". */
  constructor(what: string) {
    this.what = what;
  }

  /** Throws where nothing of that name is loaded. */
  get(name: string): T {
    const found = this.loaded.get(name);
    if (found === undefined) throw new Error(`no ${this.what} ${name} is loaded`);
    return found;
  }

  /** Takes what is known under the name from now on; gives back what had it. */
  put(name: string, value: T): T | undefined {
    const before = this.loaded.get(name);
    this.loaded.set(name, value);
    return before;
  }

  /** Gives everything back, and knows nothing any more. */
  takeAll(): T[] {
    const all = [...this.loaded.values()];
    this.loaded.clear();
    return all;
  }
}
