import { parse, tokenize } from "@huggingface/jinja";
import { splitTemplate } from "./template-source.ts";

/** What the library's parser makes of a template, as far as it is read here. */
export type JinjaNode =
  | { type: "If"; test: JinjaNode; body: JinjaNode[]; alternate: JinjaNode[] }
  | { type: "For"; loopvar: JinjaNode; iterable: JinjaNode; body: JinjaNode[]; defaultBlock: JinjaNode[] }
  | { type: "Set"; assignee: JinjaNode; value: JinjaNode | null; body: JinjaNode[] }
  | { type: "Macro"; name: Name; args: JinjaNode[]; body: JinjaNode[] }
  | { type: "CallStatement"; call: Call; callerArgs: JinjaNode[] | null; body: JinjaNode[] }
  | { type: "FilterStatement"; filter: Name | Call; body: JinjaNode[] }
  | { type: "Break" }
  | { type: "Continue" }
  | Name
  | Call
  | { type: "IntegerLiteral"; value: number }
  | { type: "FloatLiteral"; value: number }
  | { type: "StringLiteral"; value: string }
  | { type: "ArrayLiteral"; value: JinjaNode[] }
  | { type: "TupleLiteral"; value: JinjaNode[] }
  | { type: "ObjectLiteral"; value: Map<JinjaNode, JinjaNode> }
  | { type: "MemberExpression"; object: JinjaNode; property: JinjaNode; computed: boolean }
  | Slice
  | { type: "UnaryExpression"; operator: Token; argument: JinjaNode }
  | { type: "BinaryExpression"; operator: Token; left: JinjaNode; right: JinjaNode }
  | { type: "FilterExpression"; operand: JinjaNode; filter: Name | Call }
  | { type: "SelectExpression"; lhs: JinjaNode; test: JinjaNode }
  | { type: "Ternary"; condition: JinjaNode; trueExpr: JinjaNode; falseExpr: JinjaNode }
  | { type: "KeywordArgumentExpression"; key: Name; value: JinjaNode }
  | { type: "SpreadExpression"; argument: JinjaNode }
  | { type: "KeywordSpreadExpression"; argument: JinjaNode };

interface Name {
  type: "Identifier";
  value: string;
}

interface Call {
  type: "CallExpression";
  callee: JinjaNode;
  args: JinjaNode[];
}

/** `[start:stop:step]`, each of which may be left out. */
export interface Slice {
  type: "SliceExpression";
  start?: JinjaNode;
  stop?: JinjaNode;
  step?: JinjaNode;
}

type Token = ReturnType<typeof tokenize>[number];

/** Before the name of a test, in place of a filter's: `x is odd` is read as a filter `is odd` on x. */
export const TEST_PREFIX = "is ";
/** As TEST_PREFIX, for `is not`. */
export const NOT_TEST_PREFIX = "is not ";

/**
 * The statements of a template. The library's lexer and parser read what is inside the tags; text and white space are
 * split off before, and what they get wrong is put right on the tokens. Throws SyntaxError or Error for what they do
 * not know.
 */
export function parseTemplate(template: string): JinjaNode[] {
  const tokens: Token[] = [];
  for (const { kind, source } of splitTemplate(template)) {
    if (kind === "text") tokens.push({ type: "Text", value: source });
    else tokens.push(...tagTokens(kind === "statement" ? `{% ${source} %}` : `{{ ${source} }}`));
  }
  try {
    // The library keeps the classes of its nodes to itself; JinjaNode says what they hold.
    return parse(tokens).body as unknown as JinjaNode[];
  } catch (error) {
    // It reads on beyond the last token where a block has no end.
    if (error instanceof TypeError) throw new SyntaxError("a block or an expression of the template has no end");
    throw error;
  }
}

/** What may stand behind a backslash; \a, \0 and \N stay for the library to refuse. */
const KNOWN_ESCAPES = "ntrbfv'\"\\xua01234567NU";

function tagTokens(source: string): Token[] {
  // Python leaves a backslash before what it does not escape.
  const tokens = tokenize(
    source.replaceAll(/\\(.)/gs, (pair, char) => (KNOWN_ESCAPES.includes(char) ? pair : `\\${pair}`)),
  );
  refuseChains(tokens);
  return testsAsFilters(tokens);
}

/**
 * `x is [not] test argument` as a filter. In Jinja both bind alike and follow each other, and a test may have
 * arguments, in brackets or one without; the library's parser knows names alone.
 */
function testsAsFilters(tokens: readonly Token[]): Token[] {
  const out: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (!isWord(tokens[i], "is") || tokens[i - 1]?.type === "Dot") {
      out.push(tokens[i]);
      continue;
    }
    const negated = isWord(tokens[i + 1], "not");
    i += negated ? 2 : 1;
    const name = tokens[i];
    if (name?.type !== "Identifier") throw new SyntaxError("expected the name of a test behind 'is'");
    out.push({ type: "Pipe", value: "|" });
    out.push({ type: "Identifier", value: `${negated ? NOT_TEST_PREFIX : TEST_PREFIX}${name.value}` });
    const end = endOfBareArgument(tokens, i + 1);
    if (end > i + 1) {
      out.push({ type: "OpenParen", value: "(" }, ...testsAsFilters(tokens.slice(i + 1, end)));
      out.push({ type: "CloseParen", value: ")" });
      i = end - 1;
    }
  }
  return out;
}

const BEGINS_ARGUMENT = ["NumericLiteral", "StringLiteral", "OpenSquareBracket", "OpenCurlyBracket"];
const NO_ARGUMENT = ["and", "or", "else", "if", "in", "is", "not"];
const OPENING = ["OpenParen", "OpenSquareBracket", "OpenCurlyBracket"];
const CLOSING = ["CloseParen", "CloseSquareBracket", "CloseCurlyBracket"];

/** Where the argument that stands behind a test without brackets ends; `start` where there is none. */
function endOfBareArgument(tokens: readonly Token[], start: number): number {
  const first = tokens[start];
  const named = first?.type === "Identifier" && !NO_ARGUMENT.includes(first.value);
  if (!first || !(named || BEGINS_ARGUMENT.includes(first.type))) return start;
  let end = OPENING.includes(first.type) ? endOfGroup(tokens, start) : start + 1;
  for (;;) {
    const type = tokens[end]?.type;
    if (type === "Dot") end += 2;
    else if (type === "OpenSquareBracket" || type === "OpenParen") end = endOfGroup(tokens, end);
    else return end;
  }
}

function endOfGroup(tokens: readonly Token[], start: number): number {
  let depth = 0;
  for (let i = start; i < tokens.length; i++) {
    if (OPENING.includes(tokens[i].type)) depth++;
    else if (CLOSING.includes(tokens[i].type) && --depth === 0) return i + 1;
  }
  return tokens.length;
}

/** The library reads `a < b < c` as `(a < b) < c`, which is another thing. */
function refuseChains(tokens: readonly Token[]): void {
  const compared: boolean[] = [false];
  tokens.forEach((token, i) => {
    const top = compared.length - 1;
    const compares = token.type === "ComparisonBinaryOperator" || isWord(token, "in");
    if (OPENING.includes(token.type)) compared.push(false);
    else if (CLOSING.includes(token.type)) compared.pop();
    else if (compares && !isWord(tokens[i - 1], "is") && !isForIn(tokens, i)) {
      if (compared[top]) throw new SyntaxError("comparisons in a chain (a < b < c) are not supported: write 'and'");
      compared[top] = true;
    } else if (isWord(token, "and", "or", "if", "else") || ["Comma", "Colon", "Equals"].includes(token.type)) {
      compared[top] = false;
    }
  });
}

/** True for the `in` of `{% for x in …`. */
function isForIn(tokens: readonly Token[], i: number): boolean {
  return isWord(tokens[1], "for") && tokens.findIndex((token) => isWord(token, "in")) === i;
}

function isWord(token: Token | undefined, ...words: string[]): boolean {
  return token?.type === "Identifier" && words.includes(token.value);
}
