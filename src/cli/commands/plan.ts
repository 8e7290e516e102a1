import { UserError } from "../../errors.ts";
import { KV_TYPES } from "../../model/kv-type.ts";
import type { Planner } from "../../planning/planner.ts";
import { defineCommand } from "../command.ts";
import { checkedNumber } from "../options/number-bounds.ts";
import { budgetMissing } from "../options/run-options.ts";
import type { Terminal } from "../terminal.ts";
import { planCsv, rangeText, sweepCsv, sweepText } from "../text/sweep-text.ts";

/** Budgets of a sweep that names no number. */
const DEFAULT_SWEEP = 10;

/** `layerwise plan`: what a budget would buy, from headers and saved scores alone. */
export const planCommand = defineCommand({
  command: "plan <source>",
  describe: "What a budget buys: codecs, memory sum and feasible range, from headers and saved scores",
  examples: [
    ["plan outputs/smollm2 --budget '120 MiB'", "another budget for a run folder whose scores are there"],
    ["plan models/smollm2", "the feasible budgets, from the headers alone"],
    ["plan models/smollm2 --scores scores.json --budget '160 MiB' --context 2048", "a checkpoint and its scores"],
    ["plan outputs/smollm2 --sweep --csv > sweep.csv", "ten budgets from the smallest to the full size"],
  ],
  repeatable: ["calibration"],
  options: (yargs) =>
    yargs
      .positional("source", { type: "string", demandOption: true, describe: "Checkpoint or run folder" })
      .option("budget", {
        type: "string",
        describe: "Size expression, auto, or a device profile; default: the run folder's, else the range is printed",
      })
      .option("device", { type: "string", conflicts: "budget", describe: "Device profile, in place of --budget" })
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
        describe: "So many budgets, by default 10, from the smallest to the full size, and --budget's own",
      })
      .option("uniform", {
        type: "boolean",
        describe: "Bytes of the plans with one codec for all matrices, and what the allocator makes of the same bytes",
      })
      .option("save", { type: "boolean", describe: "Make this the plan of the run folder" })
      .option("csv", { type: "boolean", describe: "Comma-separated values instead of tables" })
      .conflicts("csv", "json")
      .conflicts("save", ["scores", "sweep", "csv"])
      .conflicts("uniform", ["budget", "device", "sweep", "save", "csv"]),
  async run(args, terminal) {
    const count = args.sweep === undefined || args.sweep === "" ? DEFAULT_SWEEP : checkedNumber("sweep", args.sweep);
    const { readPlanInput } = await import("../plan-input.ts");
    const { createPlanner } = await import("../../planning/planner.ts");
    const { allocatorOf } = await import("../../planning/allocators/index.ts");
    const { loadSolverFor } = await import("../../planning/optimal/highs-solver.ts");
    if (args.device !== undefined) {
      const { checkDeviceName } = await import("../../planning/budget/device-file.ts");
      checkDeviceName(args.device);
    }
    const input = await readPlanInput({ ...args, budget: args.budget ?? args.device }, terminal);
    const { request, budget, options, isRun } = input;
    const solver = await loadSolverFor(allocatorOf(request.recipe.plan));
    if (args.uniform) return printUniform(args.source, createPlanner(request, solver), terminal);
    if (args.sweep !== undefined) {
      const { sweepBudgets } = await import("../../planning/sweep.ts");
      const asked = args.budget === undefined && args.device === undefined ? null : (budget?.bytes ?? null);
      const sweep = sweepBudgets(request, { count, solver, also: asked });
      terminal.document({ source: args.source, ...sweep });
      return terminal.print(args.csv ? sweepCsv(sweep) : sweepText(sweep, asked, terminal.colours));
    }
    if (args.save) {
      if (!isRun)
        throw new UserError("NOT_A_RUN_FOLDER", `${args.source}: --save: expected a run folder, found a checkpoint`);
      if (!budget) throw budgetMissing("--budget beside --save, found none", "or auto");
      const { runPipeline } = await import("../pipeline-run.ts");
      return runPipeline(args.source, options, "plan", terminal);
    }
    const planner = createPlanner(request, solver);
    const range = planner.range();
    if (!budget) {
      if (args.csv) throw budgetMissing("--budget or --sweep beside --csv, found neither", "or --sweep");
      terminal.document({ source: args.source, range });
      terminal.print(rangeText(range));
      return terminal.note("layerwise: --budget SIZE shows the plan of one, --sweep what some of them buy");
    }
    terminal.note(`layerwise: ${budget.explanation}`);
    const { makePlan } = await import("../../planning/plan.ts");
    const plan = makePlan({ ...request, budgetBytes: budget.bytes }, solver, planner);
    terminal.document({ source: args.source, plan, range, budget });
    if (args.csv) return terminal.print(planCsv(plan));
    const { planText } = await import("../text/plan-text.ts");
    terminal.print(planText(plan, request.scores?.importance ?? null, terminal.colours));
    terminal.print(rangeText(range));
  },
});

/** Plans with one codec for all, and what the allocator makes of the same bytes. */
async function printUniform(source: string, planner: Planner, terminal: Terminal): Promise<void> {
  const { uniformPlans } = await import("../../planning/uniform-plans.ts");
  const { uniformText } = await import("../text/uniform-text.ts");
  const plans = uniformPlans(planner).map((uniform) => ({
    ...uniform,
    sameBytes: planner.plan(uniform.plan.memory.totalBytes),
  }));
  terminal.document({ source, uniform: plans });
  terminal.print(uniformText(plans, terminal.colours));
}
