import { cpSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { addExits } from "../../../src/artifact/exits/add.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { readExitsPlainly } from "../plain-reader.ts";
import { tinySpec } from "../tiny-source.ts";
import { tinyContents, tinyTable } from "./tiny-exits.ts";

/**
 * The two files that change when the golden artifact gets exits, committed: any change of a single byte shows here.
 * After a change on purpose: `LAYERWISE_WRITE_GOLDEN=1 npx vitest run test/artifact/golden-exits.test.ts`, and say so
 * in docs/decisions.
 */
const GOLDEN = path.resolve("test/fixtures/artifact-golden-exits");
const FILES = ["exits.safetensors", "manifest.json"];
const made = path.join(temporaryFolder(), "made");
const spec = tinySpec(true);

beforeAll(async () => {
  cpSync(path.resolve("test/fixtures/artifact-golden"), made, { recursive: true });
  await addExits(made, { table: tinyTable(spec), contents: tinyContents(spec) });
  if (process.env.LAYERWISE_WRITE_GOLDEN) {
    mkdirSync(GOLDEN, { recursive: true });
    for (const name of FILES) cpSync(path.join(made, name), path.join(GOLDEN, name));
  }
});

describe("the golden artifact with exits", () => {
  it.each(FILES)("is written again byte by byte: %s", (name) => {
    const [golden, found] = [GOLDEN, made].map((folder) => readFileSync(path.join(folder, name)));
    const first = golden.findIndex((byte, i) => byte !== found[i]);
    expect([found.length, first]).toEqual([golden.length, -1]);
  });

  it("is read as a plain reader of the documented format reads it", () => {
    const plain = readExitsPlainly(GOLDEN);
    const { ids, exits } = tinyContents(spec);
    const numbers = (name: string) => plain.get(name) ?? [];
    expect([...plain.keys()].map((name) => name.replace("exits.", ""))).toEqual([
      ...["ids", "0.norm", "0.norm_bias", "0.tail", "1.norm", "1.norm_bias", "1.tail"],
      ...["0.down", "0.up", "1.matrix"],
    ]);
    expect(numbers("exits.ids")).toEqual([...(ids ?? [])]);
    expect(numbers("exits.0.norm")).toEqual([...(exits[0].norm ?? [])]);
    expect(numbers("exits.1.norm_bias")).toEqual([...(exits[1].normBias ?? [])]);
    expect(numbers("exits.1.tail")).toEqual([...(exits[1].tail ?? [])]);
    expect(numbers("exits.0.down").map((x) => x + 0)).toEqual([...(exits[0].down ?? [])].map((x) => x + 0));
    expect(numbers("exits.0.up").map((x) => x + 0)).toEqual([...(exits[0].up ?? [])].map((x) => x + 0));
    expect(numbers("exits.1.matrix").map((x) => x + 0)).toEqual([...(exits[1].matrix ?? [])].map((x) => x + 0));
  });
});
