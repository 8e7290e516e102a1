/** Characters of a value in a message: what was typed is known again, and the message stays a line. */
const MOST_CHARS = 100;

/** A value for a message, its middle left out where it is long. */
export function shorten(text: string, most = MOST_CHARS): string {
  if (text.length <= most) return text;
  const kept = Math.floor((most - 1) / 2);
  return `${text.slice(0, kept)}…${text.slice(-kept)}`;
}
