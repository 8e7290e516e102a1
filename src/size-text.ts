/** A size for people, with the exact bytes: "160 MiB (167,772,160 bytes)". */
export function formatBytes(bytes: number): string {
  return `${shortBytes(bytes)} (${bytes.toLocaleString("en-US")} bytes)`;
}

/** A size for people, to three figures: "1.25 GiB", "160 MiB", "24.0 KiB", "900 bytes"; below 0 with its sign. */
export function shortBytes(bytes: number): string {
  const scale = SCALES.find(({ size }) => Math.abs(bytes) >= 999.5 * (size / 1024)) ?? null;
  if (!scale) return `${bytes} bytes`;
  const value = bytes / scale.size;
  // Four figures and more only of GiB.
  const figures = Math.abs(value) < 999.5 ? value.toPrecision(3) : Math.round(value).toLocaleString("en-US");
  return `${figures} ${scale.unit}`;
}

/** Largest first; a size is told in the first that leaves it no four figures below the point. */
const SCALES = [
  { size: 2 ** 30, unit: "GiB" },
  { size: 2 ** 20, unit: "MiB" },
  { size: 2 ** 10, unit: "KiB" },
] as const;
