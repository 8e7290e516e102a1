import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { linearOf } from "../../model/low-rank.ts";
import { idOf, ROLES } from "../../model/matrix-id.ts";
import { badArtifact } from "../artifact-error.ts";
import type { AdapterTable } from "./table.ts";

/** Checks an adapter's table against the model. Throws UserError naming the first field that does not fit. */
export function checkAdapterTable(spec: DecoderSpec, { parts }: AdapterTable, label: string): void {
  let last = -1;
  for (const [i, { block, role }] of parts.entries()) {
    const id = idOf(block, role);
    if (!linearOf(spec, { block, role }))
      throw badArtifact(label, `adapter.parts.${i}: expected a matrix of the model, found ${id}`);
    const place = block * ROLES.length + ROLES.indexOf(role);
    if (place <= last)
      throw badArtifact(label, `adapter.parts.${i}: expected matrices in execution order, found ${id}`);
    last = place;
  }
}
