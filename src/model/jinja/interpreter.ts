import { applyFilter, call, evaluate, evaluateArguments } from "./expressions.ts";
import { loopFields } from "./loop.ts";
import { Scope } from "./scope.ts";
import { type JinjaNode, parseTemplate } from "./syntax.ts";
import { MAX_TEXT, textOf } from "./text.ts";
import { isTrue, itemsOf, type JinjaFunction, type JinjaValue, Namespace, Tuple, Undefined } from "./values.ts";

/** Most statements that one rendering runs: templates come with models, and may not run without end. */
const MAX_STEPS = 200_000;

/**
 * The text that a Jinja template makes of its variables, as Jinja2 does with transformers' settings. The library reads
 * the template; what it means is here, since the library's own interpreter gives other texts than Python in places
 * (docs/decisions/0008-libraries-and-own-code.md). Error where Jinja2 fails, or a form is not supported.
 */
export function renderTemplate(template: string, variables: ReadonlyMap<string, JinjaValue>): string {
  const scope = new Scope(null);
  for (const [name, value] of variables) scope.set(name, value);
  return new Rendering().block(parseTemplate(template), new Scope(scope));
}

/** `break` or `continue` on its way to its loop, with the text that was made on the way. */
class LoopExit extends Error {
  readonly kind: "Break" | "Continue";
  text = "";
  constructor(kind: "Break" | "Continue") {
    super(`'${kind.toLowerCase()}' outside of a loop`);
    this.kind = kind;
  }
}

class Rendering {
  private steps = 0;

  /** The text of statements, one behind the other. */
  block(statements: readonly JinjaNode[], scope: Scope): string {
    let text = "";
    for (const statement of statements) {
      if (++this.steps > MAX_STEPS) throw new Error(`more than ${MAX_STEPS} steps are not supported`);
      try {
        text += this.run(statement, scope);
      } catch (error) {
        if (error instanceof LoopExit) error.text = text + error.text;
        throw error;
      }
      if (text.length > MAX_TEXT) throw new Error(`a text longer than ${MAX_TEXT} characters is not supported`);
    }
    return text;
  }

  private run(node: JinjaNode, scope: Scope): string {
    switch (node.type) {
      case "If":
        return this.block(isTrue(evaluate(node.test, scope)) ? node.body : node.alternate, scope);
      case "For":
        return this.loop(node, scope);
      case "Set":
        this.assign(node, scope);
        return "";
      case "Macro":
        scope.set(node.name.value, this.macro(node.name.value, node.args, node.body, scope));
        return "";
      case "CallStatement": {
        const { args, keywords } = evaluateArguments(node.call.args, scope);
        const caller = this.macro("caller", node.callerArgs ?? [], node.body, scope);
        const given = { args, keywords: new Map([...keywords, ["caller", caller]]) };
        return textOf(call(evaluate(node.call.callee, scope), given));
      }
      case "FilterStatement":
        return textOf(applyFilter(node.filter, this.block(node.body, new Scope(scope)), scope));
      case "Break":
      case "Continue":
        throw new LoopExit(node.type);
      default:
        return textOf(evaluate(node, scope));
    }
  }

  private assign({ assignee, value, body }: Extract<JinjaNode, { type: "Set" }>, scope: Scope): void {
    const filters: Extract<JinjaNode, { type: "FilterExpression" }>[] = [];
    let target = assignee;
    // {% set name | filter %}…{% endset %}: the outermost filter is the last.
    for (; value === null && target.type === "FilterExpression"; target = target.operand) filters.unshift(target);
    const text = () => this.block(body, new Scope(scope));
    const plain = value === null ? text() : evaluate(value, scope);
    const result = filters.reduce<JinjaValue>((one, { filter }) => applyFilter(filter, one, scope), plain);
    if (target.type !== "MemberExpression") {
      scope.assign(target, result);
      return;
    }
    const object = evaluate(target.object, scope);
    if (!(object instanceof Namespace) || target.property.type !== "Identifier") {
      throw new Error("cannot assign attribute on non-namespace object");
    }
    object.fields.set(target.property.value, result);
  }

  /** Each round has a scope of its own: what one sets, the next does not see. */
  private loop(node: Extract<JinjaNode, { type: "For" }>, scope: Scope): string {
    const { iterable, loopvar, body } = node;
    const test = iterable.type === "SelectExpression" ? iterable.test : null;
    const collection = evaluate(iterable.type === "SelectExpression" ? iterable.lhs : iterable, scope);
    const items = itemsOf(collection).filter((item) => {
      if (!test) return true;
      const inner = new Scope(scope);
      inner.assign(loopvar, item);
      return isTrue(evaluate(test, inner));
    });
    const changed = { last: null as readonly JinjaValue[] | null };
    let text = "";
    // As in Jinja: the block of `else` runs where no round came to its end.
    let isElse = true;
    for (let i = 0; i < items.length; i++) {
      const inner = new Scope(scope);
      inner.set("loop", new Namespace(loopFields(items, i, changed)));
      inner.assign(loopvar, items[i]);
      try {
        text += this.block(body, inner);
        isElse = false;
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error;
        text += error.text;
        if (error.kind === "Break") break;
      }
    }
    return isElse ? text + this.block(node.defaultBlock, new Scope(scope)) : text;
  }

  /** A macro sees what stands around its definition, not around its call. */
  private macro(
    name: string,
    parameters: readonly JinjaNode[],
    body: readonly JinjaNode[],
    scope: Scope,
  ): JinjaFunction {
    const [takesCaller, takesVarargs, takesKwargs] = ["caller", "varargs", "kwargs"].map((name) =>
      mentions(body, name),
    );
    return (args, keywords) => {
      const inner = new Scope(scope);
      const left = new Map(keywords);
      parameters.forEach((parameter, i) => {
        const named = parameter.type === "KeywordArgumentExpression" ? parameter.key : parameter;
        if (named.type !== "Identifier") throw new Error(`a parameter that is a ${named.type} is not supported`);
        const fallback = () =>
          parameter.type === "KeywordArgumentExpression"
            ? evaluate(parameter.value, inner)
            : new Undefined(`parameter '${named.value}' was not provided`);
        const value = i < args.length ? args[i] : left.get(named.value);
        left.delete(named.value);
        inner.set(named.value, value === undefined ? fallback() : value);
      });
      const caller = takesCaller ? left.get("caller") : undefined;
      if (caller !== undefined && left.delete("caller")) inner.set("caller", caller);
      if (takesVarargs) inner.set("varargs", new Tuple(args.slice(parameters.length)));
      else if (args.length > parameters.length) {
        throw new Error(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
      }
      if (takesKwargs) inner.set("kwargs", new Map(left));
      else if (left.size > 0) throw new Error(`macro '${name}' takes no keyword argument '${[...left.keys()][0]}'`);
      return this.block(body, inner);
    };
  }
}

/** True where a name stands anywhere in a part of a template. */
function mentions(part: unknown, name: string): boolean {
  if (Array.isArray(part)) return part.some((one) => mentions(one, name));
  if (part instanceof Map) return [...part].some((entry) => mentions(entry, name));
  if (typeof part !== "object" || part === null) return false;
  if ("type" in part && part.type === "Identifier" && "value" in part && part.value === name) return true;
  return Object.values(part).some((one) => mentions(one, name));
}
