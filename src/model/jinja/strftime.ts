const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/**
 * Python's strftime in the C locale, for the directives that templates use; UTC; `-` leaves leading zeros out. An
 * unknown directive stays as it is.
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
    I: two(date.getUTCHours() % 12 || 12),
    p: date.getUTCHours() < 12 ? "AM" : "PM",
    j: String(1 + Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000)).padStart(3, "0"),
    "%": "%",
  };
  return format.replaceAll(/%(-?)([a-zA-Z%])/g, (directive, bare: string, letter: string) => {
    const part = parts[letter] ?? directive;
    return bare === "" ? part : part.replace(/^0+(?=\d)/, "");
  });
}
