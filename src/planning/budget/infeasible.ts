import type { MemorySum } from "../../artifact/plan.ts";
import { UserError } from "../../errors.ts";
import { formatBytes, shortBytes } from "../../size-text.ts";

/**
 * The error for a budget below the smallest plan: what the smallest needs, and what would be feasible nearest to the
 * request: the next larger budget, or the longest context that the smallest plan can serve within this one.
 */
export function budgetTooSmall(
  budgetBytes: number,
  smallest: MemorySum,
  bytesAtContext: (contextTokens: number) => number,
): UserError {
  const context = longestContext(budgetBytes, smallest.contextTokens, bytesAtContext);
  const missing = shortBytes(smallest.totalBytes - budgetBytes);
  const shorter =
    context > 0
      ? `or keep ${shortBytes(budgetBytes)} and lower the context to ${context} tokens`
      : `no context fits ${shortBytes(budgetBytes)}; narrower codecs for blocks, embedding or head would lower the least`;
  return new UserError(
    "BUDGET_TOO_SMALL",
    `budget ${formatBytes(budgetBytes)}: expected at least ${formatBytes(smallest.totalBytes)}, the smallest plan of this ` +
      `recipe at a context of ${smallest.contextTokens} tokens; ${missing} are missing`,
    `nearest feasible: raise the budget to ${smallest.totalBytes} B, ${shorter}`,
  );
}

/** The error for a budget of the process below what it takes while the tokenizer is read, before weights are. */
export function opensTooLarge(budgetBytes: number, openingBytes: number): UserError {
  return new UserError(
    "BUDGET_TOO_SMALL",
    `budget ${formatBytes(budgetBytes)}: expected at least ${formatBytes(openingBytes)}, what the process takes while it ` +
      "reads the tokenizer, whatever the plan",
    `raise the budget to ${openingBytes} B, or let it cover the model alone`,
  );
}

/** The largest context below `asked` whose bytes fit; 0 where none does. Bytes rise with the context. */
function longestContext(budgetBytes: number, asked: number, bytesAtContext: (contextTokens: number) => number): number {
  let fits = 0;
  let tooLong = asked;
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (bytesAtContext(middle) <= budgetBytes) fits = middle;
    else tooLong = middle;
  }
  return fits;
}
