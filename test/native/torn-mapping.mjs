// Run by torn-mapping.test.ts with the addon's file and a folder: mapped files are cut short while they are touched.

import { truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const addon = createRequire(import.meta.url)(process.argv[2]);
const [folder, scene] = process.argv.slice(3);
const PAGES = 64;
const PAGE = 4096;

const mapped = (name) => {
  const file = path.join(folder, name);
  writeFileSync(file, new Uint8Array(PAGES * PAGE).fill(7));
  return { file, bytes: new Uint8Array(addon.mapFile(file, 0, PAGES * PAGE)) };
};
const sum = (bytes) => bytes.reduce((total, byte) => total + byte, 0);

const cut = mapped("cut");
const whole = mapped("whole");
const results = [addon.isTorn(cut.bytes)];
truncateSync(cut.file, scene === "within a page" ? PAGES * PAGE - 1 : 2 * PAGE);
results.push(sum(cut.bytes), addon.isTorn(cut.bytes), sum(whole.bytes), addon.isTorn(whole.bytes));
if (scene === "a signal of somebody else") process.kill(process.pid, "SIGBUS");
setTimeout(() => console.log(JSON.stringify(results)), 50);
