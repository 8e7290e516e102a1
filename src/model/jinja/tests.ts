import { isLower, isUpper, textOf, wholeArgument } from "./text.ts";
import {
  compareValues,
  contains,
  Float,
  isEqual,
  type JinjaValue,
  numberOf,
  ReadOnce,
  Tuple,
  Undefined,
} from "./values.ts";

type Test = (value: JinjaValue, argument: JinjaValue) => boolean;

const isList = (value: JinjaValue): boolean => Array.isArray(value) || value instanceof Tuple;
const isSequence = (value: JinjaValue): boolean =>
  typeof value === "string" || isList(value) || value instanceof Map || value instanceof Undefined;
const equal: Test = (value, argument) => isEqual(value, argument);
const unequal: Test = (value, argument) => !isEqual(value, argument);
const less: Test = (value, argument) => compareValues(value, argument) < 0;
const lessOrEqual: Test = (value, argument) => compareValues(value, argument) <= 0;
const greater: Test = (value, argument) => compareValues(value, argument) > 0;
const greaterOrEqual: Test = (value, argument) => compareValues(value, argument) >= 0;

/** Jinja's tests, by name. */
const JINJA_TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["defined", (value) => !(value instanceof Undefined)],
  ["undefined", (value) => value instanceof Undefined],
  ["none", (value) => value === null],
  ["boolean", (value) => typeof value === "boolean"],
  ["true", (value) => value === true],
  ["false", (value) => value === false],
  ["string", (value) => typeof value === "string"],
  ["number", (value) => numberOf(value) !== null],
  ["integer", (value) => typeof value === "number"],
  ["float", (value) => value instanceof Float],
  ["mapping", (value) => value instanceof Map],
  ["sequence", isSequence],
  ["iterable", (value) => isSequence(value) || value instanceof ReadOnce],
  ["callable", (value) => typeof value === "function" || value instanceof Undefined],
  ["odd", (value) => wholeArgument(value, "odd") % 2 !== 0],
  ["even", (value) => wholeArgument(value, "even") % 2 === 0],
  [
    "divisibleby",
    (value, argument) => wholeArgument(value, "divisibleby") % wholeArgument(argument, "divisibleby") === 0,
  ],
  ["lower", (value) => isLower(textOf(value))],
  ["upper", (value) => isUpper(textOf(value))],
  ["sameas", (value, argument) => value === argument],
  ["in", (value, argument) => contains(argument, value)],
  ["eq", equal],
  ["equalto", equal],
  ["==", equal],
  ["ne", unequal],
  ["!=", unequal],
  ["lt", less],
  ["lessthan", less],
  ["<", less],
  ["le", lessOrEqual],
  ["<=", lessOrEqual],
  ["gt", greater],
  ["greaterthan", greater],
  [">", greater],
  ["ge", greaterOrEqual],
  [">=", greaterOrEqual],
]);

/** The result of `value is name(argument)`; Error for a name that Jinja's tests do not have. */
export function runTest(name: string, value: JinjaValue, argument: JinjaValue): boolean {
  const test = JINJA_TESTS.get(name);
  if (!test) throw new Error(`the test '${name}' is not supported`);
  return test(value, argument);
}
