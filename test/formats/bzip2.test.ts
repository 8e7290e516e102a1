import { describe, expect, it } from "vitest";
import { decompressBzip2, isBzip2 } from "../../src/formats/bzip2.ts";

const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));
const text = (unpacked: Uint8Array) => new TextDecoder().decode(unpacked);

/** Made by Python's bz2 from what stands beside each. */
const BANANA = bytes(
  "QlpoOTFBWSZTWRTAnQUAAApdrAAQQAAAEACANgEQAAAAgQAIACAAMQDQAN6qNQ2oZ0phJpS0na2VxUZfNKYSetxttwXckU4UJAUwJ0FA",
);
const RUNS = bytes("QlpoOTFBWSZTWdx0r7YAAANAgeAAAHAAgAAIIAAxDACSGJw6ugJilqkDxdyRThQkNx0r7YA=");
const TWO_BLOCKS = bytes(
  "QlpoMTFBWSZTWR7YY7UAE4cBAD/wIABwQAwClUMJnFQVHlUFR6qCo+VBUYVBUZVBUaVBUbVBUfqgqOKgqOmKCskymslqR/BYAE4kCAH/gQADggBgFKoYTOJCo8iFR6kKj5IVGEhUZSFRpIVG0hUfpCo4kKjou5IpwoSAh8HLCA==",
);
const EMPTY = bytes("QlpoORdyRThQkAAAAAA=");
const EVERY_BYTE = bytes(
  "QlpoOTFBWSZTWS9yhSYAAAD/////////////////////////////////////////////sAFgACqqoCYCYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAkwAEwABMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEmAAmAAJgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB/UBQJA0EQV/yDIOhCEoUhaGP/Q1DkPRBEUSRNFEVRZF0YRlGkbRxHUeR9IEhSJI0kSVJknShKUqStLEtS5L0wTFMkzTRNU2TdOE5TpO08T1Pk/UBQVCUNRFFUZR1IUlSlLUxTVOU9UFRVJU1UVVVlXVhWVaVtXFdV5X1gWFYljWRZVmWdaFpWpa1sW1blvXBcVyXNdF1XZd14Xlel7XxfV+X9gGBYJg2EYVhmHYhiWKYtjGNY5j2QZFkmTZRlWWZdmGZZpm2cZ1nmfaBoWiaNpGlaZp2oalqmraxrWua9sGxbJs20bVtm3bhuW6btvG9b5v3AcFwnDcRxXGcdyHJcpy3Mc1znPdB0XSdN1HVdZ13Ydl2nbdx3Xed94HheJ43keV5nneh6Xqet7Hte573wfF8nzfR9X2fd+H5fp+38f1/hdyRThQkC9yhSYA=",
);

describe("decompressBzip2", () => {
  it("gives back what was packed", () => {
    expect(text(decompressBzip2(BANANA, "x"))).toBe("Größe: a na banana bandana\n".repeat(3));
    expect(text(decompressBzip2(RUNS, "x"))).toBe(`${"x".repeat(1000)}yyyyzzzzzyyyy`);
    expect(text(decompressBzip2(TWO_BLOCKS, "x"))).toBe("abcdefghij".repeat(15_000));
    expect(decompressBzip2(EMPTY, "x")).toHaveLength(0);
    expect([...decompressBzip2(EVERY_BYTE, "x")]).toEqual(Array.from({ length: 512 }, (_, i) => i % 256));
  });

  it("reads streams one after the other, as parallel packers write them", () => {
    const unpacked = decompressBzip2(Uint8Array.from([...BANANA, ...EMPTY, ...RUNS]), "x");
    expect(unpacked).toHaveLength(87 + 1013);
  });

  it("refuses damage: any bit of a block, an early end, other bytes", () => {
    // A bit that no code needs, such as the length of a symbol that does not occur, may change unseen.
    let refused = 0;
    for (let bit = 32; bit < 8 * (BANANA.length - 4); bit++) {
      const damaged = BANANA.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      try {
        expect(decompressBzip2(damaged, "tasks.bz2"), `bit ${bit}`).toEqual(decompressBzip2(BANANA, "x"));
      } catch (error) {
        expect(String(error)).toContain("tasks.bz2: bzip2:");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(8 * BANANA.length * 0.85);
    expect(() => decompressBzip2(BANANA.subarray(0, 60), "x")).toThrow("expected more bytes, found the end");
    expect(() => decompressBzip2(Uint8Array.of(...BANANA, 1), "x")).toThrow("bzip2");
    expect(isBzip2(BANANA)).toBe(true);
    expect(isBzip2(new TextEncoder().encode("BZ2"))).toBe(false);
  });
});
