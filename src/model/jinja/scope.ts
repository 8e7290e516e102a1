import type { JinjaNode } from "./syntax.ts";
import { itemsOf, type JinjaValue, Undefined } from "./values.ts";

/** Names and what they stand for, within those around them. Loops, macros and blocks have their own. */
export class Scope {
  private readonly names = new Map<string, JinjaValue>();
  private readonly around: Scope | null;

  constructor(around: Scope | null) {
    this.around = around;
  }

  get(name: string): JinjaValue {
    const value = this.names.get(name);
    if (value !== undefined) return value;
    return this.around ? this.around.get(name) : new Undefined(`'${name}' is undefined`);
  }

  set(name: string, value: JinjaValue): void {
    this.names.set(name, value);
  }

  /** Sets the names of a target, `a` or `a, b`; Error where there are more or fewer items than names. */
  assign(target: JinjaNode, value: JinjaValue): void {
    if (target.type === "Identifier") {
      this.set(target.value, value);
      return;
    }
    if (target.type !== "TupleLiteral") throw new Error(`an assignment to a ${target.type} is not supported`);
    const items = itemsOf(value);
    if (items.length !== target.value.length) {
      throw new Error(`cannot unpack: expected ${target.value.length} values, found ${items.length}`);
    }
    target.value.forEach((one, i) => {
      this.assign(one, items[i]);
    });
  }
}
