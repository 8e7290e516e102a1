import { expect, it } from "vitest";
import { DRAFTER_KINDS } from "../../src/bench/drafters/setups.ts";
import { DECODE_KINDS } from "../../src/decoding/drafters/index.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

const HOME = "decoding/drafters/";
/** The recipe that is called as the drafter that it trains exits for, a name of what is timed, an option of `exits`. */
const OTHER_MEANINGS: readonly (readonly [file: string, name: string])[] = [
  ["pipeline/exits-of-artifact.ts", "dssd"],
  ["bench/drafters/measure-costs.ts", "plain"],
  ["cli/commands/exits.ts", "vote"],
];

it.each([...new Set([...DECODE_KINDS, ...DRAFTER_KINDS])])(
  "nobody outside the drafters' folder knows %s by name",
  (kind) => {
    const name = new RegExp(`"${kind}"`);
    const found = SOURCE_FILES.filter(
      (file) =>
        !file.startsWith(HOME) &&
        !OTHER_MEANINGS.some(([where, what]) => where === file && what === kind) &&
        name.test(textOf(file)),
    );
    expect(found).toEqual([]);
  },
);
