import type { ExitSet } from "../../decoding/exits/exit-set.ts";
import { UserError } from "../../errors.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import { Timer, type TimerOptions } from "../pass-costs.ts";
import { BenchSequence } from "../sequence.ts";
import type { DraftCosts } from "./cost-model.ts";

export interface DraftCostOptions extends TimerOptions {
  /** Positions in the cache before each pass. */
  readonly position: number;
  readonly contextTokens: number;
  readonly kvType: KvType;
}

/** Rows that passes are timed with: as many as a round of 16 drafts takes along. */
const ROWS = [1, 2, 3, 5, 9, 13, 17];
const FIRST = Int32Array.of(0);

/**
 * Times what rounds of drafting consist of, turn about: a plain token, each stage between exits for some numbers of
 * rows, and asking each head. The heads are loaded. Throws UserError BENCH where the context has no room for a pass.
 */
export async function measureDraftCosts(
  executor: AnyExecutor,
  { exits }: ExitSet,
  options: DraftCostOptions,
): Promise<DraftCosts> {
  const { position, contextTokens, kvType } = options;
  const rows = ROWS.filter((count) => position + count <= contextTokens);
  if (rows.length === 0) {
    throw new UserError(
      "BENCH",
      `prompt-tokens: expected fewer than the context of ${contextTokens}, found ${position}`,
    );
  }
  const { blocks } = executor.spec;
  const stages = [...exits.map((exit) => exit.blocks), blocks.length];
  const sequence = new BenchSequence(executor, contextTokens, kvType);
  try {
    await sequence.fill(position, options);
    const timer = new Timer(options);
    const answers = emptyAnswers(rows[rows.length - 1]);
    const into = emptyAnswers(1);
    await timer.rounds(async (time) => {
      await sequence.climb(1, [blocks.length], {
        around: (_, work) => time("plain", work),
        between: async () => {},
        answers,
      });
      for (const count of rows) {
        await sequence.climb(count, stages, {
          around: (stage, work) => time(`stage ${stage}, rows ${count}`, work),
          between: async (stage, hidden) => {
            if (count > 1) return;
            const { head } = exits[stage];
            await time(`head ${stage}`, () => executor.answers(hidden, FIRST, { head, into }));
          },
          answers,
        });
      }
    });
    const median = (name: string) => timer.spread(name).median;
    return {
      position,
      plainMs: median("plain"),
      stages: stages.map((_, stage) =>
        rows.map((count) => ({ rows: count, ms: median(`stage ${stage}, rows ${count}`) })),
      ),
      exits: exits.map((exit, stage) => ({ blocks: exit.blocks, headMs: median(`head ${stage}`) })),
    };
  } finally {
    sequence.close();
  }
}
