import { z } from "zod";
import { UserError } from "../../errors.ts";
import { YamlCount, YamlName } from "../../formats/yaml-document.ts";
import { KvType } from "../../model/kv-type.ts";
import { parseBytes } from "./size-expression.ts";

/** Text that {@link parseBytes} takes; a plain number is refused as it is on the command line. */
const SizeText = z
  .union([z.string(), z.number()])
  .transform(String)
  .superRefine((text, context) => {
    try {
      parseBytes(text);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const hint = error.hint ? ` (${error.hint})` : "";
      context.addIssue({ code: "custom", message: `${error.message}${hint}` });
    }
  });

/** A kind of device: how much memory it has and how layerwise is run there. The files of `pipelines/devices/`. */
export const DeviceProfile = z.strictObject({
  name: YamlName,
  description: z.string().default(""),
  /** All memory that a program may have, as a size expression. */
  memory: SizeText,
  /** What stays free for the rest: a size expression, or `none`; null: the usual reserve of planning/budget.ts. */
  reserve: z
    .union([z.literal("none"), SizeText])
    .nullable()
    .default(null),
  /** Positions that the KV cache must hold; null: the recipe's. */
  context: YamlCount.nullable().default(null),
  kvType: KvType.nullable().default(null),
  residency: z.enum(["packed", "resident"]).default("packed"),
  budgetCovers: z.enum(["model", "process"]).default("model"),
});
export type DeviceProfile = z.infer<typeof DeviceProfile>;
