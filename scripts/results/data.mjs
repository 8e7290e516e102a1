// npm run results:data [-- --data=FOLDER]: the large texts and models that stay outside the project, which of them are
// there, and whether they are the ones that the figures were taken with. Their folder is named by --data FOLDER or
// LAYERWISE_DATA.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const LIST = "docs/results/data.json";

/** What the data folder holds: `{ file, bytes, sha256, what, licence, used }`, by paths within it. */
export const dataList = () => JSON.parse(readFileSync(LIST, "utf8"));

/** Arguments of a script that are neither options nor the value of --data. */
export function positionals(args = process.argv.slice(2)) {
  return args.filter((arg, i) => !arg.startsWith("--") && args[i - 1] !== "--data");
}

/** The data folder, or null. */
function dataFolder(args = process.argv.slice(2)) {
  const at = args.indexOf("--data");
  if (at >= 0) return args[at + 1] ?? null;
  const given = args.find((arg) => arg.startsWith("--data="));
  return given?.slice("--data=".length) || process.env.LAYERWISE_DATA || null;
}

/** Path of a file of the data folder; where it is absent the script ends with one line. */
export function dataFile(file) {
  const folder = dataFolder();
  const found = folder === null ? null : path.join(folder, file);
  if (found !== null && existsSync(found)) return found;
  const why = folder === null ? "name its folder by --data FOLDER or LAYERWISE_DATA" : `expected it in ${folder}`;
  process.stderr.write(`${file} is absent: ${why} (docs/results.md, "Data", says what must be in it)\n`);
  process.exit(1);
}

/** "there", "absent" or "other bytes". */
function stateOf({ file, sha256 }, folder) {
  const place = path.join(folder, file);
  if (!existsSync(place)) return "absent";
  return createHash("sha256").update(readFileSync(place)).digest("hex") === sha256 ? "there" : "other bytes";
}

function printStates() {
  const folder = dataFolder();
  if (folder === null) process.stderr.write("no data folder: name it by --data FOLDER or LAYERWISE_DATA\n");
  for (const entry of dataList()) {
    const state = folder === null ? "absent" : stateOf(entry, folder);
    process.stdout.write(`${state.padEnd(12)}${entry.file}  ${entry.bytes} bytes  ${entry.sha256}\n`);
    if (state === "other bytes") process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) printStates();
