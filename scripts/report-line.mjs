// Prints "N passed, N failed, N skipped" from the test runner's own reports, added up.
import { readFileSync } from "node:fs";

const reports = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")));
const sum = (count) => reports.reduce((total, report) => total + (count(report) ?? 0), 0);
const skipped = sum((report) => report.numPendingTests) + sum((report) => report.numTodoTests);
console.log(
  `${sum((report) => report.numPassedTests)} passed, ${sum((report) => report.numFailedTests)} failed, ${skipped} skipped`,
);
if (reports.length === 0 || reports.some((report) => report.numTotalTests === 0 || !report.success))
  process.exitCode = 1;
