import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A fresh copy of an artifact, to be damaged. */
export function copyArtifact(from: string, to: string): string {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
  return to;
}

/**
 * Rewrites the manifest through `change` and makes its own hash right again, so that the next check has to find the
 * lie.
 */
export function lieInManifest(folder: string, change: (manifest: object) => unknown): void {
  const file = path.join(folder, "manifest.json");
  const changed = change(JSON.parse(readFileSync(file, "utf8")));
  const { manifestSha256: _, ...rest } =
    typeof changed === "object" && changed !== null ? { manifestSha256: 0, ...changed } : {};
  const zeros = "0".repeat(64);
  const blank = JSON.stringify({ manifestSha256: zeros, ...rest });
  writeFileSync(file, blank.replace(zeros, createHash("sha256").update(blank).digest("hex")));
}

/** Changes the value at a path of keys; `change` gets the old one. */
export function changeAt(
  value: unknown,
  keys: readonly (string | number)[],
  change: (old: unknown) => unknown,
): unknown {
  if (keys.length === 0) return change(value);
  if (typeof value !== "object" || value === null) return value;
  const [key, ...rest] = keys;
  if (Array.isArray(value)) return value.map((item, i) => (i === Number(key) ? changeAt(item, rest, change) : item));
  const fields = Object.entries(value).map(([name, field]) => [
    name,
    name === key ? changeAt(field, rest, change) : field,
  ]);
  return Object.fromEntries(fields);
}

/** Every path of keys to a leaf of a JSON value. */
export function leavesOf(value: unknown, at: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [at];
  return Object.entries(value).flatMap(([key, field]) => leavesOf(field, [...at, key]));
}

/** Rewrites a file of the artifact. */
export function changeFile(folder: string, name: string, change: (bytes: Buffer) => Uint8Array): void {
  const file = path.join(folder, name);
  writeFileSync(file, change(readFileSync(file)));
}
