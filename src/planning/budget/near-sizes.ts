/** Letters and words for powers of 1000 and 1024; the first letter names the power. */
const NEARLY_A_UNIT =
  /^(kilo|kibi|k|mega|mebi|meg|m|giga|gibi|gig|g|tera|tebi|t|peta|pebi|p)?(i)?(b|o|bytes?|bits?|octets?)?s?(ps)?$/i;

/**
 * The unit of bytes that was probably meant by a word that is none: "Mib", "GO", "megs" and "512Mi" as people write
 * them. Null where nothing is near.
 */
export function meantUnit(name: string): string | null {
  const [, power = "", binary, measure] = NEARLY_A_UNIT.exec(name) ?? [];
  if (power === "") return measure === undefined ? null : "B";
  const letter = power[0].toUpperCase();
  if (binary !== undefined || power.toLowerCase().endsWith("bi")) return `${letter}iB`;
  return `${letter === "K" ? "k" : letter}B or ${letter}iB`;
}

/** Digits with marks between them that a number of ours does not have. */
const MARKED_NUMBER = /\d+(?:[.,_'’ ]\d+)+/g;

/** A number with separators of thousands or a decimal comma: as it is written, and how it may be meant. */
export interface MarkedNumber {
  readonly written: string;
  readonly meant: readonly string[];
}

/** The first number of a size that only other countries' rules make one: "1,5", "1 000", "1.000.000". */
export function findMarkedNumber(text: string): MarkedNumber | null {
  for (const [written] of text.matchAll(MARKED_NUMBER)) {
    const meant = meantNumbers(written);
    if (meant.length > 0) return { written, meant };
  }
  return null;
}

function meantNumbers(written: string): string[] {
  if (/^\d+\.\d+$/.test(written)) return [];
  const groups = written.split(/\D/);
  const marks = written.replaceAll(/\d/g, "");
  const last = groups[groups.length - 1];
  const thousands = groups.slice(1).every((group) => group.length === 3) && new Set(marks).size === 1;
  if (thousands) return marks === "," ? [groups.join(""), groups.join(".")] : [groups.join("")];
  if (marks === ",") return [groups.join(".")];
  const whole = groups.slice(0, -1);
  const isDecimal = /[.,]$/.test(marks) && whole.length > 1 && whole.slice(1).every((group) => group.length === 3);
  return isDecimal ? [`${whole.join("")}.${last}`] : [];
}
