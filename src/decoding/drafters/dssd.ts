import { z } from "zod";
import type { ExitSet } from "../exits/exit-set.ts";
import { levelFor } from "../exits/exit-set.ts";
import type { OpenModel } from "../open-model.ts";
import { greedyJudge, samplingJudge } from "../speculative/draft-judge.ts";
import { defineDrafter, optionalNumber } from "./drafter.ts";
import { fixedController } from "./dssd/controller.ts";
import { DssdDecoder } from "./dssd/decoder.ts";
import { KeptControllers } from "./dssd/kept-controllers.ts";
import { checkedDraftLimit, DEFAULT_EPSILON, DRAFT_LIMIT, type DssdOptions } from "./dssd/options.ts";
import { expectedPlan } from "./dssd/start-plan.ts";
import { DSSD_BENCH } from "./dssd/variants.ts";
import { checkedLevel, EPSILON_ASKED, EXITS, exitsOf, highestEpsilon } from "./exits.ts";

/** What may be asked for. */
const Asked = z.strictObject({
  epsilon: EPSILON_ASKED,
  draftLimit: optionalNumber("dssd: drafts before they are verified, at most; default: likewise"),
  adapt: z
    .boolean()
    .optional()
    .describe(
      "dssd: change both, and which exits are asked, as it pays; default: at temperature 0. --no-adapt keeps to what was asked, or 0.8 and 8",
    ),
});

/** Dynamic self-speculative decoding: exits draft, the full model verifies (dssd/decoder.ts). */
export const DSSD = defineDrafter({
  kind: "dssd",
  what: "exits draft, the same text",
  lossless: true,
  unasked: true,
  needs: EXITS,
  options: Asked,
  reports: ["drafts", "sharedPasses", "plainRounds"],
  bench: DSSD_BENCH,
  async choose(model, { epsilon, draftLimit, adapt }, draws): Promise<DssdOptions> {
    const exits = await exitsOf(model);
    if (epsilon !== undefined) levelFor(exits, epsilon);
    if (draftLimit !== undefined) checkedDraftLimit(draftLimit);
    const settings = { kind: "dssd", exits, adapt: adapt ?? !draws } as const;
    const start = settings.adapt ? adaptiveStart(model, exits, { epsilon, draftLimit }) : null;
    if (start) return { ...settings, ...start };
    return {
      ...settings,
      epsilon: epsilon ?? Math.min(DEFAULT_EPSILON, highestEpsilon(exits)),
      draftLimit: draftLimit ?? DRAFT_LIMIT,
    };
  },
  create(parts, options) {
    const { session, sampler, sampling, draws, now } = parts;
    const { exits, level } = checkedLevel(session, options);
    const draftLimit = checkedDraftLimit(options.draftLimit ?? DRAFT_LIMIT);
    const { vocabSize } = session.executor.spec;
    const judge = draws ? samplingJudge(sampling, { ids: exits.ids, vocabSize }) : greedyJudge(sampler);
    const start = { level, firstExit: options.firstExit ?? 0, draftLimit };
    const controller =
      (options.adapt ?? !draws)
        ? session.kept.of(KeptControllers).of(exits, { start, draws }, now)
        : fixedController(start);
    return new DssdDecoder(parts, { exits, judge, controller });
  },
  describe: ({ kind, exits, epsilon, draftLimit, firstExit, adapt }) => ({
    ...{ kind, epsilon, draftLimit, firstExit: exits.exits[firstExit ?? 0].blocks, adapt },
  }),
});

/**
 * Where adapting starts: as asked, and in what was left open as it promises most; null where nothing is known of the
 * exits.
 */
function adaptiveStart(
  model: OpenModel,
  exits: ExitSet,
  { epsilon, draftLimit }: { readonly epsilon: number | undefined; readonly draftLimit: number | undefined },
) {
  const level = epsilon === undefined ? undefined : levelFor(exits, epsilon);
  const expected = expectedPlan(exits, model.executor.spec, { level, draftLimit });
  if (!expected) return null;
  const { plan } = expected;
  return {
    epsilon: epsilon ?? exits.levels[plan.level].epsilon,
    firstExit: plan.firstExit,
    draftLimit: plan.draftLimit,
  };
}
