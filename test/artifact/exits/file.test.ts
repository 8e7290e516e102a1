import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ExitsContents, readExitsFile, writeExitsFile } from "../../../src/artifact/exits/file.ts";
import { UserError } from "../../../src/errors.ts";
import { type ExitShape, exitFileLayout } from "../../../src/model/exit-bytes.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { tinySpec } from "../tiny-source.ts";
import { TINY_SHAPE, tinyContents } from "./tiny-exits.ts";

const folder = temporaryFolder();
const file = path.join(folder, "exits.safetensors");
const spec = tinySpec(true);
const contents = tinyContents(spec);
const write = (given: ExitsContents, shape: ExitShape = TINY_SHAPE) => writeExitsFile(file, spec, shape, given);

/** The first exit with some of its numbers changed. */
function changed(numbers: Partial<ExitsContents["exits"][number]>): ExitsContents {
  return { ...contents, exits: [{ ...contents.exits[0], ...numbers }, contents.exits[1]] };
}

/** The written file with a number of a tensor changed on the disk. */
async function damaged(name: string, at: number, value: number): Promise<string> {
  await write(contents);
  const layout = exitFileLayout(spec, TINY_SHAPE);
  const tensor = layout.tensors.get(name);
  if (!tensor) throw new Error(`no tensor ${name}`);
  const bytes = readFileSync(file);
  const start = layout.dataOffset + tensor.begin;
  if (tensor.dtype === "I32") bytes.writeInt32LE(value, start + 4 * at);
  else if (tensor.dtype === "F32") bytes.writeFloatLE(value, start + 4 * at);
  else bytes.writeUInt16LE(value, start + 2 * at);
  writeFileSync(file, bytes);
  return readExitsFile(folder, spec, TINY_SHAPE).then(
    () => "read",
    (error: unknown) => (error instanceof UserError ? error.message : Promise.reject(error)),
  );
}

describe("exits.safetensors", () => {
  it("gives back what was written, in the predicted bytes, for every shape and norm", async () => {
    const kinds = fc.oneof(
      fc.record({ kind: fc.constant("adapter" as const), rank: fc.integer({ min: 1, max: 48 }) }),
      fc.constant({ kind: "linear" as const, rank: null }),
    );
    const shapes = fc.record({
      exits: fc.array(kinds, { minLength: 1, maxLength: 3 }),
      vocabulary: fc.oneof(fc.constant("full" as const), fc.record({ ids: fc.integer({ min: 1, max: 82 }) })),
    });
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), async (shape, isRms) => {
        const model = isRms ? { ...spec, finalNorm: { kind: "rms" as const, size: 48, eps: 1e-6 } } : spec;
        const given = tinyContents(model, shape);
        await writeExitsFile(file, model, shape, given);
        expect(readFileSync(file).length).toBe(exitFileLayout(model, shape).totalBytes);
        expect(await readExitsFile(folder, model, shape)).toEqual(given);
      }),
      { numRuns: 20 },
    );
  });

  it("lies as documented: 4-byte numbers first, f16 bits after them", async () => {
    await write(contents);
    const bytes = readFileSync(file);
    const { dataOffset } = exitFileLayout(spec, TINY_SHAPE);
    expect(bytes.readInt32LE(dataOffset + 4)).toBe(contents.ids?.[1]);
    expect(bytes.readFloatLE(dataOffset + 30 * 4)).toBe(contents.exits[0].norm?.[0]);
    // ids, then norm, norm bias and tail of both exits.
    const downAt = dataOffset + 4 * (30 + 2 * (48 + 48 + 49));
    const half = bytes.readUInt16LE(downAt);
    const sign = half >> 15 ? -1 : 1;
    const value = sign * 2 ** (((half >> 10) & 31) - 15) * (1 + (half & 1023) / 1024);
    expect(value).toBe(contents.exits[0].down?.[0]);
  });

  it("is never written wrongly, and nothing is left of it then", async () => {
    const bad = temporaryFolder();
    const target = path.join(bad, "exits.safetensors");
    const refusals: readonly (readonly [ExitsContents, RegExp])[] = [
      [{ ...contents, ids: null }, /exits\.ids: expected 30 numbers, found none/],
      [{ ...contents, ids: new Int32Array(30) }, /exits\.ids: 1: expected rising ids, found 0 after 0/],
      [
        { ...contents, ids: Int32Array.from({ length: 30 }, (_, i) => i + 60) },
        /23: expected an id below 83, found 83/,
      ],
      [changed({ norm: new Float32Array(47) }), /exits\.0\.norm: expected 48 numbers, found 47/],
      [changed({ tail: new Float32Array(49).fill(Number.NaN) }), /exits\.0\.tail: 0: expected a finite number/],
      [
        changed({ up: new Float32Array(192).fill(65520) }),
        /exits\.0\.up: 0: expected a finite f16 number, found 65520/,
      ],
      [changed({ matrix: new Float32Array(30 * 48) }), /exits\.0\.matrix is not of this shape/],
      [{ ...contents, exits: contents.exits.slice(0, 1) }, /exits\.1\.norm: expected 48 numbers, found none/],
    ];
    for (const [given, message] of refusals) {
      await expect(writeExitsFile(target, spec, TINY_SHAPE, given)).rejects.toThrow(message);
    }
    expect(readdirSync(bad)).toEqual([]);
  });

  it("is refused with ids outside the vocabulary or out of order, and with numbers that are not finite", async () => {
    expect(await damaged("exits.ids", 3, 83)).toMatch(/exits\.safetensors: tensor exits\.ids: 3: .* found 83$/);
    expect(await damaged("exits.ids", 3, -1)).toMatch(/tensor exits\.ids: 3: expected an id below 83, found -1/);
    expect(await damaged("exits.ids", 3, 2)).toMatch(/tensor exits\.ids: 3: expected rising ids, found 2 after \d+$/);
    expect(await damaged("exits.1.norm_bias", 5, Number.NaN)).toMatch(/exits\.1\.norm_bias: 5: .* finite .* NaN/);
    expect(await damaged("exits.0.down", 7, 0x7c00)).toMatch(/exits\.0\.down: 7: expected a finite number, found Inf/);
    expect(await damaged("exits.0.down", 7, 0x3c00)).toBe("read");
  });

  it("is refused in one line under any header that is not its own", async () => {
    await write(contents);
    const whole = readFileSync(file);
    const { dataOffset } = exitFileLayout(spec, TINY_SHAPE);
    await fc.assert(
      fc.asyncProperty(fc.nat(dataOffset - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = Buffer.from(whole);
        bytes[at] ^= flip;
        writeFileSync(file, bytes);
        const found = await readExitsFile(folder, spec, TINY_SHAPE).catch((error: unknown) => error);
        // The name of the format in `__metadata__` changes nothing that is read.
        if (found instanceof Error) {
          expect(found).toBeInstanceOf(UserError);
          expect(found.message).not.toContain("\n");
        } else expect(found).toEqual(contents);
      }),
      { numRuns: 60 },
    );
    writeFileSync(file, whole.subarray(0, whole.length - 1));
    await expect(readExitsFile(folder, spec, TINY_SHAPE)).rejects.toThrow(UserError);
  });
});
