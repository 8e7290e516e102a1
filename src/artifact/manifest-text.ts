import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import { parseJsonBytes, parseWith } from "../formats/files.ts";
import { MAX_DOCUMENT_VALUES } from "../formats/limits.ts";
import { badArtifact } from "./artifact-error.ts";
import { Manifest, READ_VERSIONS } from "./manifest.ts";
import { HasSpecV2 } from "./spec-v2.ts";

const ZEROS = "0".repeat(64);
/** The file begins with its own hash, so that it is found without parsing. */
const START = /^\{\s*"manifestSha256":\s*"([0-9a-f]{64})"/;

/** The manifest's file, with its own hash filled in. */
export function manifestText(manifest: Omit<Manifest, "manifestSha256">): { text: string; sha256: string } {
  return hashedText({ ...manifest, exits: manifest.exits ?? [] });
}

/** The same of fields as they are to stand in the file, in their order: for a manifest that is changed in parts. */
export function hashedText(fields: object): { text: string; sha256: string } {
  const blank = `${JSON.stringify({ manifestSha256: ZEROS, ...fields }, null, 1)}\n`;
  const sha256 = createHash("sha256").update(blank).digest("hex");
  return { text: blank.replace(ZEROS, sha256), sha256 };
}

/**
 * Reads a manifest and checks its own hash and form; one of an older version comes in today's words. Throws UserError,
 * on one line, for anything that is not one.
 */
export function parseManifest(bytes: Uint8Array, label: string): Manifest {
  const value = parseJsonBytes(bytes, label, MAX_DOCUMENT_VALUES);
  const version = versionOf(value, label);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const stated = START.exec(text)?.[1];
  if (stated === undefined) throw badArtifact(label, "expected the field manifestSha256 first, found none");
  const found = createHash("sha256").update(text.replace(stated, ZEROS)).digest("hex");
  if (found !== stated) throw badArtifact(label, `contents: expected sha256 ${stated}, found ${found}`);
  return parseWith(Manifest, version === 2 ? parseWith(HasSpecV2, value, label) : value, label);
}

/** A later version may look different in every other way: it is named before anything else is looked at. */
function versionOf(value: unknown, label: string): number {
  const version =
    typeof value === "object" && value !== null && "formatVersion" in value ? value.formatVersion : undefined;
  const known = READ_VERSIONS.find((one) => one === version);
  if (known !== undefined) return known;
  throw new UserError(
    "ARTIFACT_VERSION",
    `${label}: formatVersion: expected ${READ_VERSIONS.join(" or ")}, found ${JSON.stringify(version) ?? "none"}`,
    "read it with the version of the tool that wrote it, or make the artifact again",
  );
}
