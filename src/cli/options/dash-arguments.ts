/** No argument of a process can hold it, so it marks without doubt. */
const MARK = "\0";

/**
 * Marks arguments that are text though they begin with a dash: `-` alone, a size or the like below 0 (`-5MiB`), and
 * everything after `--`, which is left out.
 * yargs parses positional arguments a second time and would take them for options.
 */
export function markDashes(args: readonly string[]): string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const before = args.slice(0, end).map((arg) => (isText(arg) ? MARK + arg : arg));
  return [...before, ...args.slice(end + 1).map((arg) => (arg.startsWith("-") ? MARK + arg : arg))];
}

function isText(arg: string): boolean {
  return arg === "-" || (/^-[\d.]/.test(arg) && Number.isNaN(Number(arg)));
}

/** Takes the marks away again, in place: a yargs middleware. */
export function unmarkDashes(argv: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(argv)) {
    argv[key] = Array.isArray(value) ? value.map(unmark) : unmark(value);
  }
}

function unmark(value: unknown): unknown {
  return typeof value === "string" && value.startsWith(MARK) ? value.slice(MARK.length) : value;
}
