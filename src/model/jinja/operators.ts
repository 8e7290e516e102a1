import { formatPercent } from "./formatting.ts";
import { joinedText, MAX_TEXT, textOf } from "./text.ts";
import {
  compareValues,
  contains,
  Float,
  isEqual,
  type JinjaValue,
  numberOf,
  Tuple,
  typeName,
  Undefined,
} from "./values.ts";

/** Longest list that an operator makes. */
const MAX_ITEMS = 100_000;

/** `left operator right` as Python means it; Error where Python has no such operation. */
export function binaryOperation(operator: string, left: JinjaValue, right: JinjaValue): JinjaValue {
  switch (operator) {
    case "==":
      return isEqual(left, right);
    case "!=":
      return !isEqual(left, right);
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "~":
      return joinedText([textOf(left), textOf(right)], "");
  }
  for (const side of [left, right]) if (side instanceof Undefined) throw new Error(side.reason);
  switch (operator) {
    case "<":
      return compareValues(left, right, operator) < 0;
    case "<=":
      return compareValues(left, right, operator) <= 0;
    case ">":
      return compareValues(left, right, operator) > 0;
    case ">=":
      return compareValues(left, right, operator) >= 0;
  }
  const joined = operator === "+" ? concatenation(left, right) : operator === "*" ? repetition(left, right) : null;
  if (joined !== null) return joined;
  if (operator === "%" && typeof left === "string") return formatPercent(left, right);
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === null || b === null) {
    throw new Error(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
  }
  return arithmetic(operator, a, b, left instanceof Float || right instanceof Float);
}

/** `+value`, `-value`. */
export function signed(operator: string, value: JinjaValue): JinjaValue {
  const number = numberOf(value);
  if (number === null) throw new Error(`bad operand type for unary ${operator}: '${typeName(value)}'`);
  const result = operator === "-" ? -number : number;
  return value instanceof Float ? new Float(result) : result + 0;
}

function concatenation(left: JinjaValue, right: JinjaValue): JinjaValue | null {
  if (typeof left === "string" && typeof right === "string") return joinedText([left, right], "");
  if (Array.isArray(left) && Array.isArray(right)) {
    if (left.length + right.length > MAX_ITEMS) throw new Error(`a list longer than ${MAX_ITEMS} is not supported`);
    return [...left, ...right];
  }
  if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  return null;
}

function repetition(left: JinjaValue, right: JinjaValue): JinjaValue | null {
  const isCount = (side: JinjaValue) => typeof side === "number" || typeof side === "boolean";
  const [value, count] = isCount(left) ? [right, left] : [left, right];
  if (!isCount(count) || !(typeof value === "string" || Array.isArray(value))) return null;
  const times = Math.max(0, Number(count));
  const most = typeof value === "string" ? MAX_TEXT : MAX_ITEMS;
  if (value.length * times > most) throw new Error(`a repetition longer than ${most} is not supported`);
  return typeof value === "string" ? value.repeat(times) : Array.from({ length: times }, () => value).flat();
}

function arithmetic(operator: string, a: number, b: number, isFloat: boolean): JinjaValue {
  if (["/", "//", "%"].includes(operator) && b === 0) throw new Error("division by zero");
  const results: Readonly<Record<string, number>> = {
    "+": a + b,
    "-": a - b,
    "*": a * b,
    "/": a / b,
    "//": Math.floor(a / b),
    "%": a - b * Math.floor(a / b),
    "**": a ** b,
  };
  const result = results[operator];
  if (isFloat || operator === "/" || (operator === "**" && b < 0)) return new Float(result);
  if (!Number.isSafeInteger(result)) throw new Error(`${a} ${operator} ${b}: numbers that large are not supported`);
  return result;
}
