import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { UserError } from "../../src/errors.ts";

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

/** Opening and verifying an artifact must both say this. */
export async function expectRefused(folder: string, message: RegExp): Promise<void> {
  await expect(openArtifact(folder)).rejects.toThrow(message);
  expect((await verifyArtifact(folder)).join(" ")).toMatch(message);
}

/** Lies about a field of the manifest. */
interface FieldLies {
  /** The artifact as it is, and a copy of it that is damaged. */
  readonly good: string;
  readonly bad: string;
  readonly field: string;
  /** Words that the field has somewhere. */
  readonly words: readonly string[];
  /** Paths of what no byte depends on. */
  readonly unseen: RegExp;
  /** Reads what the field speaks of: an artifact that opens leads to no error there. */
  read(folder: string): Promise<unknown>;
}

/** Any value in the place of any leaf of a field is refused with a UserError of one line, or changes nothing. */
export async function expectLiesFound({ good, bad, field, words, unseen, read }: FieldLies): Promise<void> {
  const manifest: unknown = JSON.parse(readFileSync(path.join(good, "manifest.json"), "utf8"));
  const leaves = leavesOf(manifest).filter(([first]) => first === field);
  const values = fc.oneof(fc.constantFrom(null, 0, -1, 1, 2 ** 31, 1e300, "", ...words, true, [], {}), fc.jsonValue());
  copyArtifact(good, bad);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...leaves), values, async (keys, value) => {
      lieInManifest(bad, () => changeAt(manifest, keys, () => value));
      const refusal = await openArtifact(bad).then(
        (artifact) => artifact.close(),
        (error: unknown) => error,
      );
      if (refusal instanceof Error) {
        expect(refusal).toBeInstanceOf(UserError);
        expect(refusal.message).not.toContain("\n");
        return;
      }
      await read(bad);
      // What no byte depends on, or what it was before.
      const before = keys.reduce<unknown>((found, key) => Object(found)[key], manifest);
      if (JSON.stringify(before) !== JSON.stringify(value)) expect(keys.join(".")).toMatch(unseen);
    }),
    { numRuns: 60 },
  );
}
