import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../../errors.ts";
import { readYamlText } from "../../formats/files.ts";
import { parseYamlDocument } from "../../formats/yaml-document.ts";
import { didYouMean, nearNames } from "../../near-names.ts";
import { type Budget, resolveBudget } from "./budget.ts";
import type { DeviceProfile } from "./device-profile.ts";
import { readFreeMemory } from "./free-memory.ts";

/** Where the profiles that ship lie; the same from src/ and from dist/. */
const DEVICES_FOLDER = fileURLToPath(new URL("../../../pipelines/devices/", import.meta.url));

const YAML_FILE = /\.ya?ml$/i;
const DEVICE_NAME = /^[a-z][a-z0-9]*([-_][a-z0-9]+)+$/i;
const WORD = /^[a-z][a-z0-9]*$/i;
/** The budget that is what this machine has free. */
const AUTO = "auto";

/**
 * The budget that a text means: a size expression, `auto`, a device profile file, or the name of a profile that ships
 * (`phone-4gb`). Throws UserError.
 */
export async function readBudget(text: string, options: { reserve?: string | undefined } = {}): Promise<Budget> {
  const name = text.trim();
  // "Auto", "phone4gb": words near a name are no sizes that lack a number.
  if (WORD.test(name) && name !== AUTO && nearNames(name, [AUTO, ...deviceNames()]).length > 0)
    throw unknownDevice(name);
  const isDevice = YAML_FILE.test(name) || DEVICE_NAME.test(name);
  const device = isDevice ? await loadDeviceProfile(name) : undefined;
  return resolveBudget(text, { device, freeMemory: readFreeMemory, reserve: options.reserve });
}

/** Throws UserError DEVICE_UNKNOWN for what is neither a file's name nor that of a profile that ships. */
export function checkDeviceName(nameOrFile: string): void {
  if (!YAML_FILE.test(nameOrFile) && !deviceNames().includes(nameOrFile)) throw unknownDevice(nameOrFile);
}

/** A device profile by file or by the name of one that ships. Throws UserError `DEVICE_UNKNOWN`, `YAML_*`, `FILE_*`. */
export async function loadDeviceProfile(nameOrFile: string): Promise<DeviceProfile> {
  const file = YAML_FILE.test(nameOrFile) ? nameOrFile : path.join(DEVICES_FOLDER, `${nameOrFile}.yaml`);
  checkDeviceName(nameOrFile);
  const text = await readYamlText(file);
  // Loaded here: its sizes are checked by mathjs, which a budget without a device mostly does not need.
  const { DeviceProfile: schema } = await import("./device-profile.ts");
  return parseYamlDocument(text, file, schema);
}

function unknownDevice(name: string): UserError {
  return new UserError(
    "DEVICE_UNKNOWN",
    `device: expected one of ${deviceNames().join(", ")} or a .yaml file, found "${name}"`,
    didYouMean(name, [AUTO, ...deviceNames()], "name a profile that exists, or state the budget as a size"),
  );
}

/** Names of the profiles that ship. */
function deviceNames(): string[] {
  const files = readdirSync(DEVICES_FOLDER).filter((file) => file.endsWith(".yaml"));
  return files.map((file) => path.basename(file, ".yaml")).sort();
}
