import type { MathNode, Unit } from "mathjs";
import math from "mathjs/lib/browser/math.js";
import { UserError } from "../../errors.ts";
import { SIZE_HINT as HINT, wholeBytes } from "./bytes.ts";
import { findMarkedNumber, meantUnit } from "./near-sizes.ts";

/** What the parsed tree of a size may consist of; everything else (calls, names, assignments, %, ^) is refused. */
const OPERATORS = new Set(["add", "subtract", "multiply", "divide", "unaryMinus", "unaryPlus"]);

/** From here on a number without a unit is rather bytes than MiB. */
const MANY = 2 ** 20;

/** What is divided by in rates, "MB/s", which are no sizes. */
const TIMES = new Set(["s", "sec", "secs", "second", "seconds", "min", "minute", "minutes", "h", "hour", "hours"]);

/**
 * Bytes of a size expression of numbers, units, + - * / and parentheses; fractions of a byte are dropped.
 * kB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024; bits are refused: who writes "Mib" means MiB.
 * Throws UserError `BUDGET_SYNTAX`, `BUDGET_UNITS` or `BUDGET_VALUE`.
 */
export function parseBytes(expression: string): number {
  const text = expression.trim().replace(/\s+/g, " ");
  const tree = parseTree(text);
  checkTree(tree, text);
  return wholeBytes(toUnit(tree, text).toNumber("B"), text);
}

function parseTree(text: string): MathNode {
  if (text === "") throw new UserError("BUDGET_SYNTAX", "size: expected an expression, found nothing", HINT);
  const marked = findMarkedNumber(text);
  if (marked) {
    const { written, meant } = marked;
    const message = `size "${text}": expected digits with a point for decimals at the most, found "${written}"`;
    throw new UserError("BUDGET_SYNTAX", message, `write ${meant.join(" or ")}`);
  }
  try {
    return math.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError("BUDGET_SYNTAX", `size "${text}": ${reason}`, HINT);
  }
}

function checkTree(tree: MathNode, text: string): void {
  tree.traverse((node) => {
    if (node.type === "ParenthesisNode" || isNumber(node) || isOperator(node)) return;
    if (node.type === "SymbolNode" && "name" in node) return checkUnit(String(node.name), text);
    throw new UserError(
      "BUDGET_SYNTAX",
      `size "${text}": expected only numbers, units, + - * / and parentheses, found "${node.toString().replace(/\s+/g, " ")}"`,
      HINT,
    );
  });
}

function isNumber(node: MathNode): boolean {
  return node.type === "ConstantNode" && "value" in node && Number.isFinite(node.value);
}

/** One of + - * /; of products without a sign only "3 MiB" and "0.5 (…)", since "1 GiB 512" is surely a slip. */
function isOperator(node: MathNode): boolean {
  if (node.type !== "OperatorNode" || !("fn" in node) || !OPERATORS.has(String(node.fn))) return false;
  const implicit = "implicit" in node && node.implicit === true;
  if (!implicit || !("args" in node) || !Array.isArray(node.args)) return true;
  return node.args[1].type === "SymbolNode" || node.args[1].type === "ParenthesisNode";
}

function checkUnit(name: string, text: string): void {
  const known = math.Unit.isValuelessUnit(name);
  const isMemory = known && new math.Unit(1, name).hasBase("BIT");
  if (isMemory && /(B|bytes?)$/.test(name)) return;
  const found = isMemory ? `"${name}", which counts bits` : `"${name}"${known ? ", which measures no memory" : ""}`;
  throw new UserError(
    "BUDGET_UNITS",
    `size "${text}": expected a unit of memory such as MB or MiB, found ${found}`,
    unitHint(name),
  );
}

function unitHint(name: string): string {
  if (TIMES.has(name)) return `a budget is a size, no rate: leave "/${name}" out`;
  const meant = meantUnit(name);
  return meant === null ? HINT : `did you mean ${meant}?`;
}

function toUnit(tree: MathNode, text: string): Unit {
  let value: unknown;
  try {
    value = tree.evaluate();
  } catch {
    // All that is left to go wrong in a checked tree is a sum of a size and something else.
    throw new UserError("BUDGET_UNITS", `size "${text}": expected a size with its unit on both sides of + and -`, HINT);
  }
  if (typeof value === "number") {
    if (value <= 0)
      throw new UserError("BUDGET_VALUE", `size "${text}": expected more than 0 bytes, found ${value}`, HINT);
    throw new UserError(
      "BUDGET_UNITS",
      `size "${text}": expected a unit, found the plain number ${value}`,
      `did you mean ${value} ${value < MANY ? "MiB" : "B"}?`,
    );
  }
  if (value instanceof math.Unit && value.hasBase("BIT")) return value;
  throw new UserError("BUDGET_UNITS", `size "${text}": expected a size in bytes, found ${String(value)}`, HINT);
}
