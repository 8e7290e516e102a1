/** A piece of a template: text that is printed as it is, or the inside of a `{% … %}` or `{{ … }}` tag. */
export interface TemplatePiece {
  readonly kind: "text" | "statement" | "expression";
  readonly source: string;
}

const CLOSERS = { "{%": "%}", "{{": "}}", "{#": "#}" } as const;
type Opener = keyof typeof CLOSERS;
const OPENER = /\{[%{#]/g;
const ENDRAW = /\{%[-+]?\s*endraw\s*[-+]?%\}/g;

/**
 * A Jinja template in pieces, white space controlled as transformers sets Jinja up: every line end is `\n`, the last is
 * dropped, blanks before a block tag and the line end behind it go (`lstrip_blocks`, `trim_blocks`), `-` takes all
 * white space on its side and `+` keeps it. Comments and `generation` marks (which say what to train on) leave nothing.
 * Throws SyntaxError where a tag has no end.
 */
export function splitTemplate(template: string): TemplatePiece[] {
  const source = template.replaceAll(/\r\n?/g, "\n").replace(/\n$/, "");
  const pieces: TemplatePiece[] = [];
  const addText = (text: string) => {
    if (text !== "") pieces.push({ kind: "text", source: text });
  };
  let position = 0;
  let atLineStart = true;
  while (position < source.length) {
    OPENER.lastIndex = position;
    const opening = OPENER.exec(source);
    if (!opening) {
      addText(source.slice(position));
      break;
    }
    const opener = opening[0] as Opener;
    const tag = readTag(source, opening.index, opener);
    addText(textBefore(source.slice(position, opening.index), tag, atLineStart));
    if (tag.opener === "{%" && tag.inside.trim() === "raw") {
      const { text, end } = readRaw(source, tag);
      addText(textBefore(text, end, false));
      position = endOf(source, end);
    } else {
      const piece = pieceOf(tag);
      if (piece) pieces.push(piece);
      position = endOf(source, tag);
    }
    atLineStart = source[position - 1] === "\n";
  }
  return pieces;
}

interface Tag {
  readonly opener: Opener;
  readonly inside: string;
  /** `-`, `+` or nothing at either side. */
  readonly signBefore: string;
  readonly signAfter: string;
  /** Where the source goes on. */
  readonly end: number;
}

function readTag(source: string, start: number, opener: Opener): Tag {
  const signBefore = signAt(source, start + 2);
  const from = start + 2 + signBefore.length;
  const closer = CLOSERS[opener];
  const close = opener === "{#" ? source.indexOf(closer, from) : closeOf(source, from, closer);
  if (close < 0) throw new SyntaxError(`the tag ${JSON.stringify(source.slice(start, start + 20))} has no ${closer}`);
  const sign = close > from ? signAt(source, close - 1) : "";
  const signAfter = opener === "{{" && sign === "+" ? "" : sign;
  const inside = source.slice(from, close - signAfter.length);
  return { opener, inside, signBefore, signAfter, end: close + closer.length };
}

function signAt(source: string, position: number): string {
  const char = source[position];
  return char === "-" || char === "+" ? char : "";
}

/** Where a tag's closer is: not inside a string or brackets. */
function closeOf(source: string, from: number, closer: string): number {
  let depth = 0;
  for (let i = from; i < source.length; i++) {
    const char = source[i];
    if (depth === 0 && source.startsWith(closer, i)) return i;
    if (char === "'" || char === '"') i = endOfString(source, i);
    else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) depth--;
  }
  return -1;
}

function endOfString(source: string, start: number): number {
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === source[start]) return i;
  }
  return source.length;
}

function textBefore(text: string, tag: Tag, atLineStart: boolean): string {
  if (tag.signBefore === "-") return text.trimEnd();
  if (tag.signBefore === "+" || tag.opener === "{{") return text;
  const line = text.lastIndexOf("\n") + 1;
  return (line > 0 || atLineStart) && text.slice(line).trim() === "" ? text.slice(0, line) : text;
}

/** Where the text behind a tag begins. */
function endOf(source: string, { opener, signAfter, end }: Tag): number {
  if (signAfter === "-") return source.length - source.slice(end).trimStart().length;
  return signAfter === "" && opener !== "{{" && source[end] === "\n" ? end + 1 : end;
}

/** The text of a `raw` block and the tag that ends it. */
function readRaw(source: string, begin: Tag): { text: string; end: Tag } {
  const from = begin.signAfter === "-" ? endOf(source, begin) : begin.end;
  ENDRAW.lastIndex = from;
  const close = ENDRAW.exec(source);
  if (!close) throw new SyntaxError("{% raw %} has no {% endraw %}");
  return { text: source.slice(from, close.index), end: readTag(source, close.index, "{%") };
}

function pieceOf({ opener, inside }: Tag): TemplatePiece | null {
  if (opener === "{#" || (opener === "{%" && /^\s*(end)?generation\s*$/.test(inside))) return null;
  return { kind: opener === "{%" ? "statement" : "expression", source: inside };
}
