// node scripts/list-skips.mjs REPORT…: what the test runner's JSON reports say was skipped, by name, each with the
// reason that the name gives.
import { readFileSync } from "node:fs";
import path from "node:path";

/** A name that says why it is skipped: "… (skipped: …)" or "…: skipped, …". */
const REASON = /skipped[:,] /;

/** Skipped suites and tests: name -> how many tests. A suite with a reason stands for all that is in it. */
const skips = new Map();
for (const report of process.argv.slice(2)) {
  for (const { name: file, assertionResults } of JSON.parse(readFileSync(report, "utf8")).testResults) {
    for (const { status, ancestorTitles, title } of assertionResults) {
      if (status === "passed" || status === "failed") continue;
      const titles = [...ancestorTitles.filter(Boolean), title];
      const reasoned = titles.findIndex((part) => REASON.test(part));
      const name =
        reasoned < 0 ? `${titles.join(" > ")} (no reason in its name)` : titles.slice(0, reasoned + 1).join(" > ");
      const line = `${path.relative("test", file)}: ${name}`;
      skips.set(line, (skips.get(line) ?? 0) + 1);
    }
  }
}
const count = [...skips.values()].reduce((sum, tests) => sum + tests, 0);
console.log(count === 0 ? "skipped: nothing" : `skipped: ${count} tests`);
for (const [line, tests] of skips) console.log(`  ${line}${tests > 1 ? `, ${tests} tests` : ""}`);
