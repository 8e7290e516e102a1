import type { Milp, MilpSolver } from "./milp.ts";

/** Feasibility tolerance on rows and on whole numbers: ten times tighter than what a caller must allow for. */
const TOLERANCE = 1e-9;

/**
 * HiGHS (MIT, highs.dev) as WebAssembly: one thread, a fixed seed and no clock in its decisions, so a program has one
 * answer on every machine. The module's 3.5 MB are loaded here and nowhere else.
 */
export async function loadHighs(): Promise<MilpSolver> {
  const { default: load } = await import("highs");
  const highs = await load();
  return (milp) => {
    const data = modelOf(milp, highs.infinity);
    return highs.withModel(data, (model) => {
      model.options.set({
        output_flag: false,
        mip_rel_gap: milp.relativeGap,
        mip_abs_gap: 0,
        mip_feasibility_tolerance: TOLERANCE,
        primal_feasibility_tolerance: TOLERANCE,
        dual_feasibility_tolerance: TOLERANCE,
        random_seed: 0,
      });
      model.run();
      const { infeasible, optimal } = highs.constants.modelStatus;
      const status = model.getModelStatus();
      if (status === infeasible) return null;
      if (status !== optimal) throw new Error(`HiGHS ended with status ${status}`);
      return Float64Array.from(model.getSolution().colValue);
    });
  };
}

/** HiGHS where an allocator needs it, else nothing. */
export async function loadSolverFor(allocator: { readonly needsSolver: boolean }): Promise<MilpSolver | undefined> {
  return allocator.needsSolver ? loadHighs() : undefined;
}

/** The program in HiGHS's arrays; the matrix column after column. */
function modelOf({ columns, rows }: Milp, infinity: number) {
  const bound = (value: number) => (Number.isFinite(value) ? value : Math.sign(value) * infinity);
  const starts = [0];
  for (const { entries } of columns) starts.push(starts[starts.length - 1] + entries.length);
  return {
    numCols: columns.length,
    numRows: rows.length,
    sense: 1 as const,
    offset: 0,
    colCost: columns.map(({ cost }) => cost),
    colLower: columns.map(({ lower }) => bound(lower)),
    colUpper: columns.map(({ upper }) => bound(upper)),
    rowLower: rows.map(({ lower }) => bound(lower)),
    rowUpper: rows.map(({ upper }) => bound(upper)),
    integrality: columns.map(({ whole }) => (whole ? (1 as const) : (0 as const))),
    matrix: {
      format: "csc" as const,
      numRows: rows.length,
      numCols: columns.length,
      starts,
      indices: columns.flatMap(({ entries }) => entries.map(([row]) => row)),
      values: columns.flatMap(({ entries }) => entries.map(([, factor]) => factor)),
    },
  };
}
