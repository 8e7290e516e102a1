import type { AdapterTable } from "../../artifact/adapter/table.ts";
import type { MemorySum } from "../../model/memory-sum.ts";
import { shortBytes } from "../../size-text.ts";
import { formatCount } from "./number-text.ts";

/** An artifact's adapter for people: what it adds to, of which ranks, and what that takes. One line. */
export function adapterText({ dtype, parts }: AdapterTable, { items }: MemorySum): string {
  const roles = [...new Set(parts.map(({ role }) => role))];
  const blocks = new Set(parts.map(({ block }) => block)).size;
  const ranks = parts.map(({ rank }) => rank);
  const [least, most] = [Math.min(...ranks), Math.max(...ranks)];
  const rank = least === most ? `rank ${least}` : `ranks ${least} to ${most}`;
  const added = items.filter(({ key }) => key === "adapter" || key === "adapter.tiles");
  const bytes = added.reduce((sum, item) => sum + item.bytes, 0);
  const where = `${formatCount(parts.length)} matrices of ${blocks} blocks (${roles.join(", ")})`;
  return `adapter: ${rank}, ${dtype}, beside ${where}: ${shortBytes(bytes)} of memory`;
}
