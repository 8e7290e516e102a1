import { describe, expect, it } from "vitest";
import { ExitSettings } from "../../src/pipeline/exit-settings.ts";
import { EXIT_TEXT_IDS, EXIT_TEXTS } from "../../src/pipeline/exit-texts/index.ts";
import { commandLine } from "../cli/command-line.ts";

describe("the text of exits", () => {
  it.each(EXIT_TEXT_IDS)("%s has a shape of its own and is what a recipe may name", (data) => {
    const { parts, sequenceTokens } = EXIT_TEXTS[data].shape({ files: 3, sequenceTokens: 64 });
    expect([1, 3]).toContain(parts);
    expect(sequenceTokens).toBeGreaterThan(1);
    expect(ExitSettings.parse({ data }).data).toBe(data);
  });

  it("has the names that the command line offers", async () => {
    const { code, stderr } = await commandLine(["exits", "anywhere", "--data", "nowhere"]);
    expect(code).toBe(1);
    expect(stderr).toContain(`--data: expected ${EXIT_TEXT_IDS.join(" or ")}, found`);
  });
});
