import { z } from "zod";
import { ROLES } from "../../model/matrix-id.ts";
import { RATE_SCHEDULES } from "./rates.ts";
import { WINDOW_ORDERS } from "./window-order.ts";

const count = z.number().int().positive();

/** Where a window's loss is taken: at its own end, or after the last block. */
const LOSS_EXITS = ["window", "last"] as const;

/** How a model is tuned. */
export const TuneSettings = z.strictObject({
  /** Blocks of a window; `all`: one window of all blocks, which is LoRA as it is known. */
  window: z.union([count, z.literal("all")]).default(4),
  order: z.enum(WINDOW_ORDERS).default("shallow-to-deep"),
  exit: z.enum(LOSS_EXITS).default("last"),
  /** Blocks below it are left as they are. */
  firstBlock: z.number().int().nonnegative().default(0),
  rank: count.max(1024).default(8),
  /** The addition counts alpha / rank times. */
  alpha: z.number().positive().max(1e6).default(16),
  roles: z
    .array(z.enum(ROLES))
    .nonempty()
    .default([...ROLES]),
  /** Steps of the optimizer, in all windows together. */
  steps: count.default(100),
  /** Sequences of a step. */
  accumulate: count.default(4),
  /** Tokens of a sequence at most. */
  sequence: count.min(2).default(512),
  rate: z.number().positive().max(1).default(4e-4),
  schedule: z.enum(RATE_SCHEDULES).default("constant"),
  /** Steps of a window over which the rate rises. */
  warmup: z.number().int().nonnegative().default(0),
  /** Decoupled weight decay. */
  decay: z.number().nonnegative().max(1).default(0),
  /** Largest norm of the slopes of a step; longer ones are shortened to it. */
  clip: z.number().positive().default(0.3),
  seed: z
    .number()
    .int()
    .nonnegative()
    .max(2 ** 32 - 1)
    .default(0),
  /** Steps of a turn, where windows take several. */
  turn: count.default(8),
  /** Share of the examples that nothing is learned from. */
  heldOut: z.number().positive().max(0.5).default(0.05),
  /** Run each block again on the way back: less memory, more time. */
  recompute: z.boolean().default(false),
  /** Steps between saved states. */
  saveEvery: count.default(10),
});
export type LossExit = TuneSettings["exit"];
export type TuneSettings = z.infer<typeof TuneSettings>;
