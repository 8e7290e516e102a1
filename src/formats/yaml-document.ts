import { CST, type Document, isMap, isNode, Lexer, LineCounter, Parser, parseDocument } from "yaml";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { didYouMean } from "../near-names.ts";
import { MAX_NESTING, MAX_YAML_NODES, MAX_YAML_TOKENS } from "./limits.ts";

/** A name that is shown inside of a line. */
export const YamlName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\u2028\u2029]*$/u, "expected a name on one line, without control characters");

/** Counts and seeds in YAML files, within what a run can use: beyond is a slip, or memory and time without end. */
export const YamlCount = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);
export const YamlSeed = z
  .number()
  .int()
  .min(0)
  .max(2 ** 32 - 1);

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** Most that aliases may unfold a document to, counted as the library does. */
const MAX_ALIASES = 100;

/**
 * A YAML text as the schema's type. The first fault throws UserError `YAML_SYNTAX`, `YAML_LIMIT` or `YAML_FIELD`:
 * "file:line: path: expected …, found …".
 */
export function parseYamlDocument<T>(text: string, file: string, schema: z.ZodType<T>): T {
  checkLimits(text, file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, logLevel: "error" });
  const fault = document.errors[0];
  if (fault) {
    const line = lines.linePos(fault.pos[0]).line;
    throw new UserError("YAML_SYNTAX", `${file}:${line}: ${fault.message.split("\n")[0].replace(/ at line.*$/, "")}`);
  }
  const result = schema.safeParse(plainValue(document, file) ?? {});
  if (result.success) return result.data;
  const { issues } = result.error;
  // A misspelt name gives two issues; the name that is there says more than the one that is missing.
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  throw fieldError(deepest(issue), document, lines, file);
}

/**
 * Looks at the text's tokens, which the library finds without recursion, before it makes a document of them: out of
 * stack it may abort the process (a regular expression that finds none left to be compiled on).
 */
function checkLimits(text: string, file: string): void {
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    if (++tokens > MAX_YAML_TOKENS) throw beyondLimit(file, `${MAX_YAML_TOKENS} tokens`);
  }
  const waiting: { token: CST.Token; depth: number }[] = [];
  let nodes = 0;
  for (const document of new Parser().parse(text)) {
    waiting.push({ token: document, depth: 0 });
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { token, depth } = next;
      if (depth > MAX_NESTING) throw beyondLimit(file, `${MAX_NESTING} levels of nesting`);
      if (++nodes > MAX_YAML_NODES) throw beyondLimit(file, `${MAX_YAML_NODES} nodes`);
      for (const inner of childrenOf(token)) waiting.push({ token: inner, depth: depth + 1 });
    }
  }
}

function childrenOf(token: CST.Token): CST.Token[] {
  if (token.type === "document") return token.value ? [token.value] : [];
  if (!CST.isCollection(token)) return [];
  return token.items.flatMap(({ key, value }) => [key, value].flatMap((child) => child ?? []));
}

function beyondLimit(file: string, most: string): UserError {
  return new UserError("YAML_LIMIT", `${file}: expected at most ${most}, found more`);
}

/** The document as plain values; an alias without its anchor, or one that unfolds without end, shows only here. */
function plainValue(document: Document, file: string): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new UserError("YAML_SYNTAX", `${file}: ${reason}`);
  }
  checkUnfolded(value, 0, file);
  return value;
}

/** An alias inside of its own anchor has no end. */
function checkUnfolded(value: unknown, depth: number, file: string): void {
  if (depth > MAX_NESTING) throw beyondLimit(file, `${MAX_NESTING} levels of nesting, aliases unfolded`);
  if (typeof value !== "object" || value === null) return;
  for (const inner of Object.values(value)) checkUnfolded(inner, depth + 1, file);
}

/** Of a union's failures the one that came furthest, with what all of these expect there; other issues as they are. */
function deepest(issue: Issue): Issue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const found = issue.errors.flat().map(deepest);
  const longest = Math.max(...found.map(({ path }) => path.length));
  const [inner, ...others] = found.filter(({ path }) => path.length === longest);
  const named = [inner, ...others].flatMap((one) => (one.code === "invalid_value" ? one.values : []));
  const values = inner.code === "invalid_value" ? { values: named } : {};
  return { ...inner, ...values, path: [...issue.path, ...inner.path] };
}

function fieldError(issue: Issue, document: Document, lines: LineCounter, file: string): UserError {
  const unknownKey = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const path: Path = unknownKey === undefined ? issue.path : [...issue.path, unknownKey];
  const where = `${file}:${lineOf(document, lines, path)}: ${path.map(String).join(".") || "document"}`;
  if (unknownKey !== undefined) {
    return new UserError(
      "YAML_FIELD",
      `${where}: expected a known field, found "${unknownKey}"`,
      "remove or rename it",
    );
  }
  const found = foundText(document.getIn(path));
  if (issue.code === "invalid_value") {
    const values = issue.values.map(String);
    const hint = didYouMean(String(document.getIn(path)), values, `one of ${values.join(", ")}`);
    return new UserError("YAML_FIELD", `${where}: expected one of ${values.join(", ")}, found ${found}`, hint);
  }
  const expected = expectedText(issue);
  return new UserError("YAML_FIELD", `${where}: ${expected}${expected.includes(", found ") ? "" : `, found ${found}`}`);
}

function expectedText(issue: Issue): string {
  if (issue.code === "invalid_type") return `expected ${issue.expected}`;
  if (issue.code === "too_small") return `expected ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "too_big") return `expected ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
  return issue.message.replaceAll(/\s+/g, " ");
}

function foundText(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (isNode(value)) return isMap(value) ? "a mapping" : "a list";
  return JSON.stringify(value);
}

/** Line of the key or item at `path`; of the nearest parent that is there otherwise. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent: unknown = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const name = path[depth - 1];
    const key = isMap(parent) ? parent.items.find((item) => String(item.key) === String(name))?.key : undefined;
    const node = isNode(key) ? key : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
