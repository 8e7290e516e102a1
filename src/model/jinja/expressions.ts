import { filterNamed } from "./filters.ts";
import { attributeAt } from "./list-filters.ts";
import { lookup, sliceOf } from "./lookup.ts";
import { binaryOperation, signed } from "./operators.ts";
import type { Scope } from "./scope.ts";
import { type JinjaNode, NOT_TEST_PREFIX, type Slice, TEST_PREFIX } from "./syntax.ts";
import { runTest } from "./tests.ts";
import { textArgument, wholeArgument } from "./text.ts";
import {
  type Arguments,
  Float,
  isTrue,
  itemsOf,
  type JinjaValue,
  orElse,
  ReadOnce,
  Tuple,
  Undefined,
} from "./values.ts";

/** The value of an expression; Error where Python or Jinja has none, or the form is not supported. */
export function evaluate(node: JinjaNode, scope: Scope): JinjaValue {
  switch (node.type) {
    case "Identifier":
      return scope.get(node.value);
    case "StringLiteral":
    case "IntegerLiteral":
      return node.value;
    case "FloatLiteral":
      return new Float(node.value);
    case "ArrayLiteral":
      return node.value.map((item) => evaluate(item, scope));
    case "TupleLiteral":
      return new Tuple(node.value.map((item) => evaluate(item, scope)));
    case "ObjectLiteral":
      return new Map(Array.from(node.value, ([key, value]) => [evaluate(key, scope), evaluate(value, scope)]));
    case "MemberExpression":
      return memberOf(node, scope);
    case "CallExpression":
      return call(evaluate(node.callee, scope), evaluateArguments(node.args, scope));
    case "UnaryExpression": {
      const value = evaluate(node.argument, scope);
      return node.operator.value === "not" ? !isTrue(value) : signed(node.operator.value, value);
    }
    case "BinaryExpression": {
      const left = evaluate(node.left, scope);
      const operator = node.operator.value;
      if (operator === "and") return isTrue(left) ? evaluate(node.right, scope) : left;
      if (operator === "or") return isTrue(left) ? left : evaluate(node.right, scope);
      return binaryOperation(operator, left, evaluate(node.right, scope));
    }
    case "FilterExpression":
      return applyFilter(node.filter, evaluate(node.operand, scope), scope);
    case "Ternary":
      return evaluate(isTrue(evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope);
    case "SelectExpression":
      return isTrue(evaluate(node.test, scope))
        ? evaluate(node.lhs, scope)
        : new Undefined("the inline if-expression evaluated to false and no else section was defined");
    default:
      throw new Error(`a ${node.type} is not supported there`);
  }
}

/** What a function gives; Error for what is none. */
export function call(callee: JinjaValue, { args, keywords }: Arguments): JinjaValue {
  if (typeof callee === "function") return callee(args, keywords);
  throw new Error(callee instanceof Undefined ? callee.reason : "a value that is no function is called");
}

/** Values of a call's arguments, `*list` and `**dict` spread. */
export function evaluateArguments(nodes: readonly JinjaNode[], scope: Scope): Arguments {
  const args: JinjaValue[] = [];
  const keywords = new Map<string, JinjaValue>();
  for (const node of nodes) {
    if (node.type === "SpreadExpression") args.push(...itemsOf(evaluate(node.argument, scope)));
    else if (node.type === "KeywordArgumentExpression") keywords.set(node.key.value, evaluate(node.value, scope));
    else if (node.type === "KeywordSpreadExpression") {
      const dict = evaluate(node.argument, scope);
      if (!(dict instanceof Map)) throw new Error("argument after ** must be a mapping");
      for (const [key, value] of dict) keywords.set(textArgument(key, "**"), value);
    } else args.push(evaluate(node, scope));
  }
  return { args, keywords };
}

/** A value through a filter node, `name` or `name(…)`; tests are filters whose name begins with TEST_PREFIX. */
export function applyFilter(
  filter: Extract<JinjaNode, { type: "Identifier" | "CallExpression" }>,
  value: JinjaValue,
  scope: Scope,
): JinjaValue {
  const callee = filter.type === "CallExpression" ? filter.callee : filter;
  if (callee.type !== "Identifier") throw new Error("a filter that is no name is not supported");
  const given = evaluateArguments(filter.type === "CallExpression" ? filter.args : [], scope);
  const name = callee.value;
  const argument = orElse(given.args[0], null);
  if (name.startsWith(NOT_TEST_PREFIX)) return !runTest(name.slice(NOT_TEST_PREFIX.length), value, argument);
  if (name.startsWith(TEST_PREFIX)) return runTest(name.slice(TEST_PREFIX.length), value, argument);
  return filterByName(name, value, given);
}

const CHOOSERS: Readonly<Record<string, { readonly keeps: boolean; readonly byAttribute: boolean }>> = {
  select: { keeps: true, byAttribute: false },
  reject: { keeps: false, byAttribute: false },
  selectattr: { keeps: true, byAttribute: true },
  rejectattr: { keeps: false, byAttribute: true },
};

function filterByName(name: string, value: JinjaValue, given: Arguments): JinjaValue {
  const { args, keywords } = given;
  if (name === "map") return mapped(value, given);
  if (!Object.hasOwn(CHOOSERS, name)) return filterNamed(name)(value, args, keywords);
  const { keeps, byAttribute } = CHOOSERS[name];
  const [attribute, test, argument = null] = byAttribute ? args : [null, ...args];
  const passes = (item: JinjaValue): boolean => {
    const tested = byAttribute ? attributeAt(item, orElse(attribute, null)) : item;
    return test === undefined ? isTrue(tested) : runTest(textArgument(test, name), tested, argument);
  };
  return new ReadOnce(itemsIfAny(value).filter((item) => passes(item) === keeps));
}

/** These filters take what is false, such as None, for an empty list. */
function itemsIfAny(value: JinjaValue): readonly JinjaValue[] {
  return isTrue(value) ? itemsOf(value) : [];
}

function mapped(value: JinjaValue, { args, keywords }: Arguments): ReadOnce {
  const attribute = keywords.get("attribute");
  if (attribute !== undefined) {
    const fallback = orElse(keywords.get("default"), null);
    return new ReadOnce(itemsIfAny(value).map((item) => attributeAt(item, attribute, fallback)));
  }
  const [name, ...rest] = args;
  return new ReadOnce(
    itemsIfAny(value).map((item) => filterByName(textArgument(name, "map"), item, { args: rest, keywords })),
  );
}

function memberOf(node: Extract<JinjaNode, { type: "MemberExpression" }>, scope: Scope): JinjaValue {
  const object = evaluate(node.object, scope);
  const { property } = node;
  if (property.type === "SliceExpression") return sliceBy(object, property, scope);
  if (!node.computed && property.type === "Identifier") return lookup(object, property.value, "attribute");
  return lookup(object, evaluate(property, scope), "item");
}

function sliceBy(object: JinjaValue, { start, stop, step }: Slice, scope: Scope): JinjaValue {
  const bound = (node: JinjaNode | undefined): number | null => {
    const value = node ? evaluate(node, scope) : null;
    return value === null ? null : wholeArgument(value, "slice");
  };
  return sliceOf(object, bound(start), bound(stop), bound(step));
}
