import type { Plan } from "../../artifact/plan.ts";
import { UserError } from "../../errors.ts";
import { KV_TYPES } from "../../model/kv-type.ts";
import type { FeasibleRange } from "../../planning/planner.ts";
import type { Sweep } from "../../planning/sweep.ts";
import { defineCommand } from "../command.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatMiB, formatNumber } from "../text/number-text.ts";
import { renderTable } from "../text/table.ts";

/** `layerwise plan`: what a budget would buy, from headers and saved scores alone. */
export const planCommand = defineCommand({
  command: "plan <source>",
  describe: "What a budget buys: codecs, memory sum and feasible range, from headers and saved scores",
  examples: [
    ["plan outputs/smollm2 --budget '120 MiB'", "another budget for a run folder whose scores are there"],
    ["plan models/smollm2 --scores scores.json --budget '160 MiB' --context 2048", "a checkpoint and its scores"],
    ["plan outputs/smollm2 --sweep --csv > sweep.csv", "ten budgets from the smallest to the full size"],
  ],
  repeatable: ["calibration"],
  options: (yargs) =>
    yargs
      .positional("source", { type: "string", demandOption: true, describe: "Checkpoint or run folder" })
      .option("budget", {
        type: "string",
        describe: "Size expression, auto, or a device profile; default: the run folder's",
      })
      .option("context", {
        type: "number",
        describe: "Tokens that the KV cache must hold; default: the run's or recipe's",
      })
      .option("recipe", {
        type: "string",
        describe: "Recipe file, or the name of one that ships; default: the run's, or lsaq",
      })
      .option("scores", { type: "string", describe: "Scores file; default: the run folder's" })
      .option("kv", {
        choices: KV_TYPES,
        describe: "How keys and values are kept; default: the recipe's",
      })
      .option("resident", { type: "boolean", describe: "Count every matrix expanded in memory" })
      .option("budget-covers", {
        choices: ["model", "process"] as const,
        describe: "model: without the runtime's base; process: with it. Default: model",
      })
      .option("sweep", {
        type: "string",
        describe: "So many budgets, by default 10, from the smallest to the full size",
      })
      .option("uniform", {
        type: "boolean",
        describe: "Bytes of the plans with one codec for all matrices, and what the allocator makes of the same bytes",
      })
      .option("save", { type: "boolean", describe: "Make this the plan of the run folder" })
      .option("csv", { type: "boolean", describe: "Comma-separated values instead of tables" })
      .coerce("sweep", (count: string | undefined) =>
        count === "" ? 10 : count === undefined ? undefined : Number(count),
      )
      .conflicts("csv", "json")
      .conflicts("save", ["scores", "sweep", "csv"])
      .conflicts("uniform", ["budget", "sweep", "save", "csv"]),
  async run(args, terminal) {
    const { sweep: count } = args;
    if (count !== undefined && (!Number.isInteger(count) || count < 2)) {
      throw new UserError("SWEEP", `sweep: expected a whole number of budgets from 2 up, found ${count}`);
    }
    const { readPlanInput } = await import("../plan-input.ts");
    const { createPlanner } = await import("../../planning/planner.ts");
    const { sweepBudgets } = await import("../../planning/sweep.ts");
    const { allocatorOf } = await import("../../planning/allocators/index.ts");
    const { loadSolverFor } = await import("../../planning/optimal/highs-solver.ts");
    const { request, budget, options, isRun } = await readPlanInput(args, terminal);
    const solver = await loadSolverFor(allocatorOf(request.recipe.plan));
    if (args.uniform) {
      const { uniformPlans } = await import("../../planning/uniform-plans.ts");
      const { uniformText } = await import("../text/uniform-text.ts");
      const planner = createPlanner(request, solver);
      const plans = uniformPlans(planner).map((uniform) => ({
        ...uniform,
        sameBytes: planner.plan(uniform.plan.memory.totalBytes),
      }));
      terminal.document({ source: args.source, uniform: plans });
      return terminal.print(uniformText(plans, terminal.colours));
    }
    if (count !== undefined) {
      const sweep = sweepBudgets(request, { count, solver });
      terminal.document({ source: args.source, ...sweep });
      return terminal.print(args.csv ? sweepCsv(sweep) : sweepText(sweep, terminal.colours));
    }
    if (!budget) {
      const hint = "for example --budget '160 MiB'; --sweep shows what there is to choose from";
      throw new UserError("BUDGET_MISSING", "budget: expected --budget or --sweep, found neither", hint);
    }
    if (args.save) {
      if (!isRun)
        throw new UserError("NOT_A_RUN_FOLDER", `${args.source}: --save: expected a run folder, found a checkpoint`);
      const { runPipeline } = await import("../pipeline-run.ts");
      return runPipeline(args.source, options, "plan", terminal);
    }
    const planner = createPlanner(request, solver);
    const range = planner.range();
    terminal.note(`layerwise: ${budget.explanation}`);
    const plan = planner.plan(budget.bytes);
    terminal.document({ source: args.source, plan, range, budget });
    if (args.csv) return terminal.print(planCsv(plan));
    const { planText } = await import("../text/plan-text.ts");
    terminal.print(planText(plan, request.scores?.importance ?? null, terminal.colours));
    terminal.print(rangeText(range));
  },
});

function rangeText({ smallestBytes, largestBytes }: FeasibleRange): string {
  const size = (bytes: number) => `${formatMiB(bytes)} (${formatCount(bytes)} bytes)`;
  return `feasible budgets: ${size(smallestBytes)} to ${size(largestBytes)}`;
}

function sweepText({ range, points }: Sweep, colours: Colours): string {
  const right = (head: string) => ({ head, align: "right" as const });
  const predicts = points.some((point) => point.predictedLoss !== null);
  const quality = predicts ? "predicted loss" : "importance lowered";
  const columns = [right("budget"), right("used"), right("bits/weight"), right(quality)];
  const rows = points.map((point) => {
    const value = predicts ? point.predictedLoss : point.importanceLowered;
    const cells = [formatMiB(point.budgetBytes), formatMiB(point.totalBytes), point.bitsPerWeight.toFixed(2)];
    return [...cells, value === null ? "–" : formatNumber(value)];
  });
  return `${renderTable(columns, rows, colours)}\n${rangeText(range)}`;
}

function sweepCsv({ points }: Sweep): string {
  const lines = points.map((point) =>
    [
      point.budgetBytes,
      point.totalBytes,
      point.bitsPerWeight,
      point.predictedLoss ?? "",
      point.importanceLowered ?? "",
    ].join(","),
  );
  return ["budget_bytes,total_bytes,bits_per_weight,predicted_loss,importance_lowered", ...lines].join("\n");
}

function planCsv(plan: Plan): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = plan.units.map(({ id, codec, bytes, rule }) => [id, codec, bytes, quoted(rule ?? "")].join(","));
  return ["unit,codec,bytes,rule", ...lines].join("\n");
}
