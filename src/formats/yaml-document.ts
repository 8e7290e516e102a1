import { type Document, isMap, isNode, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { didYouMean } from "../near-names.ts";

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

/**
 * A YAML text as the schema's type. The first fault throws UserError `YAML_SYNTAX` or `YAML_FIELD`:
 * "file:line: path: expected …, found …".
 */
export function parseYamlDocument<T>(text: string, file: string, schema: z.ZodType<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
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

/** The document as plain values; an alias without its anchor, or one that unfolds without end, shows only here. */
function plainValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new UserError("YAML_SYNTAX", `${file}: ${reason}`);
  }
}

/** Of a union's failures the one that came furthest; other issues as they are. */
function deepest(issue: Issue): Issue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors.flat().reduce((a, b) => (b.path.length > a.path.length ? b : a));
  return { ...inner, path: [...issue.path, ...inner.path] };
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
