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

/** Fixtures of families that the decoder has no words for yet. */
const NOT_YET: ReadonlySet<string> = new Set(["gemma3", "granite", "olmo2", "smollm3", "starcoder2"]);

/** Names of the architecture fixtures that can be read. */
export function architectureNames(): string[] {
  return readdirSync(ARCHITECTURES).filter((name) => !NOT_YET.has(name));
}
