import { describe, expect, test } from "vitest";
import { Random } from "../../src/tensor/random.ts";

describe("random", () => {
  test("the same seed gives the same stream and forks do not disturb it", () => {
    const one = new Random(7);
    const two = new Random(7);
    two.fork("other").next();
    expect(Array.from({ length: 5 }, () => one.nextUint32())).toEqual(
      Array.from({ length: 5 }, () => two.nextUint32()),
    );
    expect(new Random(7).fork("a").nextUint32()).not.toBe(new Random(7).fork("b").nextUint32());
    const shuffled = new Random(1).shuffle(Array.from({ length: 50 }, (_, i) => i));
    expect(shuffled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(shuffled).not.toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test("numbers are uniform and normal enough", () => {
    const random = new Random(3);
    const n = 20000;
    let sum = 0;
    let squares = 0;
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < n; i++) {
      const x = random.nextNormal();
      sum += x;
      squares += x * x;
      buckets[random.nextInt(10)]++;
    }
    expect(Math.abs(sum / n)).toBeLessThan(0.03);
    expect(Math.abs(squares / n - 1)).toBeLessThan(0.05);
    for (const count of buckets) expect(Math.abs(count - n / 10)).toBeLessThan(6 * Math.sqrt(n / 10));
  });
});
