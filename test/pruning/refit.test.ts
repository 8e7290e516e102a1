import path from "node:path";
import { describe, expect, it } from "vitest";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { LackSum, lastRoleOf } from "../../src/pruning/refit.ts";
import { Random } from "../../src/tensor/random.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";

const [ROWS, COLS, TOKENS] = [3, 5, 400];

const ONES = new Float32Array(TOKENS * ROWS).fill(1);

/** [rows, cols], normal. */
function normals(random: Random, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => scale * random.nextNormal());
}

/** x [tokens, COLS] times w^T, w [ROWS, COLS]. */
function product(x: Float32Array, w: Float32Array): Float32Array {
  return Float32Array.from({ length: (x.length / COLS) * ROWS }, (_, at) => {
    const [token, row] = [Math.floor(at / ROWS), at % ROWS];
    let sum = 0;
    for (let col = 0; col < COLS; col++) sum += x[token * COLS + col] * w[row * COLS + col];
    return sum;
  });
}

describe("what outputs lack", () => {
  it.each([1, 1e-3, 30])(
    "is put into the matrix where its inputs tell it, at a size of %d times theirs",
    async (size) => {
      const random = new Random(4);
      const [w, added, x] = [
        normals(random, ROWS * COLS),
        normals(random, ROWS * COLS, size),
        normals(random, TOKENS * COLS),
      ];
      const noise = normals(random, TOKENS * ROWS, 0.5 * size);
      const lacking = product(x, added).map((value, i) => value + noise[i]);
      const sum = new LackSum(plainMaths, ROWS, COLS);
      const half = TOKENS / 2;
      await sum.add(x.slice(0, half * COLS), lacking.slice(0, half * ROWS), ONES.slice(0, half * ROWS));
      await sum.add(x.slice(half * COLS), lacking.slice(half * ROWS), ONES.slice(half * ROWS));
      const found = await sum.repaired({ kind: "dense", rows: ROWS, cols: COLS, data: w }, "test");
      if (!found) throw new Error("a better matrix is expected");
      const { data, rows, cols } = found;
      expect([rows, cols]).toEqual([ROWS, COLS]);
      const change = data.map((value, i) => value - w[i]);
      const left = product(x, change).map((value, i) => lacking[i] - value);
      const power = (values: Float32Array) => values.reduce((all, value) => all + value * value, 0);
      // Inputs that are all alike are damped as much as those that say little.
      expect(power(left)).toBeLessThan(0.7 * power(lacking));
      // Towards what makes up for it: with 3 on the diagonal of means of 1 a quarter of the way.
      for (const [i, value] of change.entries()) expect(Math.abs(value - added[i] / 4)).toBeLessThan(0.1 * size);
    },
  );

  it("changes nothing where nothing is lacking", async () => {
    const random = new Random(5);
    const [w, x] = [normals(random, ROWS * COLS), normals(random, TOKENS * COLS)];
    const sum = new LackSum(plainMaths, ROWS, COLS);
    await sum.add(x, new Float32Array(TOKENS * ROWS), ONES);
    expect(await sum.repaired({ kind: "dense", rows: ROWS, cols: COLS, data: w }, "test")).toBeNull();
  });

  it("is left alone where what is fitted makes nothing better on other tokens", async () => {
    const random = new Random(6);
    const [w, x, noise] = [normals(random, ROWS * COLS), normals(random, 8 * COLS), normals(random, 8 * ROWS)];
    const sum = new LackSum(plainMaths, ROWS, COLS);
    // Six tokens are fitted to, of two the inputs say the opposite.
    await sum.add(
      x,
      product(x, w).map((value, i) => (i < 6 * ROWS ? value : -value) + 0.01 * noise[i]),
      ONES.slice(0, 8 * ROWS),
    );
    expect(await sum.repaired({ kind: "dense", rows: ROWS, cols: COLS, data: w }, "test")).toBeNull();
  });
});

it.each([
  ["llama-gqa", "mlp.down", "attn.o"],
  ["neox-parallel", "mlp.down", "attn.o"],
  ["olmo2", null, null],
])(
  "the last matrix of a block of %s is %s, without its MLP %s, where no norm follows it",
  async (name, whole, rest) => {
    const source = await openCheckpoint(path.join(ARCHITECTURES, name));
    const [block] = source.spec.blocks;
    expect(lastRoleOf(block)).toBe(whole);
    expect(lastRoleOf({ ...block, mlp: null })).toBe(rest);
    expect(lastRoleOf({ ...block, attention: null, mlp: null })).toBeNull();
    await source.close();
  },
);
