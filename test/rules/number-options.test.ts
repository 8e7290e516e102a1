import { describe, expect, it } from "vitest";
import yargs from "yargs";
import { COMMAND_NAMES, commandNamed } from "../../src/cli/commands.ts";
import { declaredOptions } from "../../src/cli/options/declared-options.ts";
import { NUMBER_BOUNDS } from "../../src/cli/options/number-bounds.ts";

/** Every option of a command, and which of them are numbers. */
async function optionsOf(name: string) {
  const command = await commandNamed(name);
  if (!command) throw new Error(`no command ${name}`);
  const { key, number } = declaredOptions(command.declare(yargs([])));
  return { all: Object.keys(key), numbers: number };
}

describe("options that are numbers", () => {
  it.each(COMMAND_NAMES)("%s has none without bounds", async (name) => {
    const { all, numbers } = await optionsOf(name);
    expect(all).toContain("json");
    expect(numbers.filter((option) => !(option in NUMBER_BOUNDS))).toEqual([]);
  });

  it("are all that the table of bounds has", async () => {
    const options = await Promise.all(COMMAND_NAMES.map(optionsOf));
    const known = new Set(options.flatMap(({ all }) => all));
    expect(Object.keys(NUMBER_BOUNDS).filter((option) => !known.has(option))).toEqual([]);
  });
});
