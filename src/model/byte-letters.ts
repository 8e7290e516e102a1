/**
 * The letters that stand for the bytes 0 … 255 in a byte-level vocabulary: printable ones for themselves, the others
 * from U+0100 on.
 */
export function byteLetters(): string[] {
  const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}
