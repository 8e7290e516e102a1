import type { layoutSafetensors, openSafetensors, writeSafetensors } from "../../src/formats/safetensors/index.ts";
import type { Family } from "../../src/model/architectures/family.ts";

/** The safetensors reader and writer, of src/ or of dist/. */
export interface Formats {
  readonly openSafetensors: typeof openSafetensors;
  readonly layoutSafetensors: typeof layoutSafetensors;
  readonly writeSafetensors: typeof writeSafetensors;
}

export const SEPARATE_NEOX: "gpt_neox_separate";
export function writePhi3Layout(formats: Formats, folder: string, out: string): Promise<void>;
export function writeSeparateNeox(formats: Formats, folder: string, out: string): Promise<void>;
export function separateNeox(family: Family): Family;
