import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { COMMAND_NAMES, commandNamed } from "../../src/cli/commands.ts";
import { layerwise, NOT_BUILT, needsBuild } from "./command-line.ts";

describe.skipIf(NOT_BUILT)(needsBuild("help of the built program"), () => {
  test("the program's help lists every command", async () => {
    const { code, stdout, stderr } = await layerwise(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of COMMAND_NAMES) expect(stdout).toContain(`layerwise ${name} `);
    expect(stdout).toMatch(/Examples:\n/);
  });

  test.each(COMMAND_NAMES)("%s --help shows an example and --json", async (name) => {
    const { code, stdout, stderr } = await layerwise([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`Examples:\\n  # .+\\n  layerwise ${name} `));
    expect(stdout).toContain("--json");
  });

  test("--version prints the package's version alone", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(await layerwise(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe.skipIf(NOT_BUILT)(needsBuild("help is found where people look for it"), () => {
  test("nothing, help and -h list the commands", async () => {
    for (const args of [[], ["help"], ["-h"]]) {
      const { code, stdout, stderr } = await layerwise(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("layerwise compress <checkpoint>");
    }
  });

  test("help COMMAND is COMMAND --help", async () => {
    const { stdout } = await layerwise(["verify", "--help"]);
    expect(await layerwise(["help", "verify"])).toEqual({ code: 0, stdout, stderr: "" });
    expect(await layerwise(["help", "verfy"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("mean verify"),
    });
  });

  test("bench --help names no codec but the two that it takes unasked", async () => {
    const { stdout } = await layerwise(["bench", "--help"]);
    expect(stdout.match(/\bq\d\w*-g\d+/g)).toEqual(["q4s-g32", "q8s-g32"]);
  });
});

test("docs/cli.md has a section with an example for every command", () => {
  const text = readFileSync("docs/cli.md", "utf8");
  for (const name of COMMAND_NAMES) {
    expect(text).toMatch(new RegExp(`^#+ .*\`layerwise ${name}\\b`, "m"));
    expect(text).toMatch(new RegExp(`^layerwise ${name} `, "m"));
  }
});

test.each(COMMAND_NAMES)("%s in the table is the command of that name", async (name) => {
  expect((await commandNamed(name))?.name).toBe(name);
});

test("no other word names a command", async () => {
  for (const word of [undefined, "constructor", "--help"]) expect(await commandNamed(word)).toBeNull();
});
