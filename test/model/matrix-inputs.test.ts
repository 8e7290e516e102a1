import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linearsOf } from "../../src/model/decoder-spec.ts";
import { matrixInputsOf } from "../../src/model/matrix-inputs.ts";
import { SHAPES } from "../runtime/executor-cases.ts";
import { smallSpec } from "../runtime/random-model.ts";

const rolesOf = (...args: Parameters<typeof matrixInputsOf>) =>
  matrixInputsOf(...args).map(({ kind, roles }) => `${kind}: ${roles.join(" ")}`);

describe("inputs of a block's matrices", () => {
  it("are shared by queries, keys and values, and by gate and up", () => {
    expect(rolesOf(smallSpec().blocks[0])).toEqual([
      "attention: attn.q attn.k attn.v",
      "output: attn.o",
      "mlp: mlp.gate mlp.up",
      "down: mlp.down",
    ]);
  });

  it("are one where a parallel block has one norm", () => {
    const [block] = smallSpec({ residual: "parallel", sharedNorm: true, gated: false }).blocks;
    expect(rolesOf(block)).toEqual(["attention: attn.q attn.k attn.v mlp.up", "output: attn.o", "down: mlp.down"]);
    expect(rolesOf(block, { attention: true, mlp: false })).toEqual(["mlp: mlp.up", "down: mlp.down"]);
    expect(rolesOf({ ...block, attention: null })).toEqual(["mlp: mlp.up", "down: mlp.down"]);
    expect(rolesOf({ ...block, mlp: null })).toEqual(["attention: attn.q attn.k attn.v", "output: attn.o"]);
  });

  it("cover each matrix once, with its columns", () => {
    fc.assert(
      fc.property(SHAPES, fc.boolean(), (shape, sharedNorm) => {
        const [block] = smallSpec({ ...shape, sharedNorm }).blocks;
        const linears = new Map(linearsOf(block).map(({ role, linear }) => [role, linear.cols]));
        const inputs = matrixInputsOf(block);
        const roles = inputs.flatMap((input) => input.roles);
        expect(roles.toSorted()).toEqual([...linears.keys()].toSorted());
        for (const { cols, roles } of inputs) for (const role of roles) expect(linears.get(role)).toBe(cols);
      }),
    );
  });
});
