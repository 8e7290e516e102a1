/** A size for people, with the exact bytes: "160 MiB (167,772,160 bytes)". */
export function formatBytes(bytes: number): string {
  return `${shortBytes(bytes)} (${bytes.toLocaleString("en-US")} bytes)`;
}

/** A size for people, to three figures: "1.25 GiB", "160 MiB", "24.0 KiB", "900 bytes"; below 0 with its sign. */
export function shortBytes(bytes: number): string {
  const scale = SCALES.find(({ size }) => Math.abs(bytes) >= size);
  if (!scale) return `${bytes.toLocaleString("en-US")} bytes`;
  const value = bytes / scale.size;
  // 1,000 to 1,023 of a unit, and all GiB from 1,000 on.
  const figures = Math.abs(value) < 999.5 ? value.toPrecision(3) : Math.round(value).toLocaleString("en-US");
  return `${figures} ${scale.unit}`;
}

const SCALES = [
  { size: 2 ** 30, unit: "GiB" },
  { size: 2 ** 20, unit: "MiB" },
  { size: 2 ** 10, unit: "KiB" },
] as const;
