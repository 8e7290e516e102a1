import { readdirSync } from "node:fs";
import path from "node:path";

/** What the tests compare with; NOTICE.md there says where it is from, README.md what it means. */
export const FIXTURES = path.resolve("test/fixtures");

/** The bundled example: a trained Llama of 260 K parameters. */
export const STORIES = path.resolve("examples/stories260k");

/** A trained GPT-NeoX of 1.7 M parameters. */
export const NEOX = path.join(FIXTURES, "models/neox-tiny");

/** A tiny random checkpoint for each architecture, in folders. */
export const ARCHITECTURES = path.join(FIXTURES, "architectures");

/** Names of the architecture fixtures. */
export function architectureNames(): string[] {
  return readdirSync(ARCHITECTURES);
}
