import { z } from "zod";
import { ALLOCATOR_IDS } from "./allocators/index.ts";
import { ProblemSettings } from "./problem/settings.ts";

/** The recipe's `plan` part: which allocator, among which codecs, under which rules. */
export const PlanSettings = z.strictObject({
  allocator: z.enum(ALLOCATOR_IDS).default("lsaq"),
  ...ProblemSettings.shape,
});
export type PlanSettings = z.infer<typeof PlanSettings>;
