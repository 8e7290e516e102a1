const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/**
 * Python's strftime in the C locale, for the directives that templates use; UTC. An unknown directive stays as it is.
 */
export function strftime(date: Date, format: string): string {
  const two = (x: number) => String(x).padStart(2, "0");
  const parts: Readonly<Record<string, string>> = {
    Y: String(date.getUTCFullYear()),
    y: two(date.getUTCFullYear() % 100),
    m: two(date.getUTCMonth() + 1),
    d: two(date.getUTCDate()),
    B: MONTHS[date.getUTCMonth()],
    b: MONTHS[date.getUTCMonth()].slice(0, 3),
    A: DAYS[date.getUTCDay()],
    a: DAYS[date.getUTCDay()].slice(0, 3),
    H: two(date.getUTCHours()),
    M: two(date.getUTCMinutes()),
    S: two(date.getUTCSeconds()),
    "%": "%",
  };
  return format.replaceAll(/%([a-zA-Z%])/g, (directive, letter: string) => parts[letter] ?? directive);
}
