import { exponentText, floatText, reprOf, textOf, widthArgument } from "./text.ts";
import { Float, type JinjaValue, type KeywordArguments, numberOf, Tuple, typeName } from "./values.ts";

const PERCENT = /%(?:\((\w+)\))?([-+ 0#]*)(\d+|\*)?(?:\.(\d+))?([a-zA-Z%])/g;

/** Python's `format % value`: %s, %r, %d, %i, %x, %o, %f, %e and %%, by position or by name. */
export function formatPercent(format: string, value: JinjaValue): string {
  const values = value instanceof Tuple ? value.items : [value];
  let used = 0;
  const text = format.replaceAll(
    PERCENT,
    (directive, name?: string, flags = "", width?: string, digits?: string, kind = "") => {
      if (kind === "%") return "%";
      if (width === "*") throw new Error(`the format ${JSON.stringify(directive)} is not supported`);
      if (name === undefined && used >= values.length) throw new Error("not enough arguments for format string");
      const item = name === undefined ? values[used++] : fieldOf(value, name);
      const align = flags.includes("-") ? "<" : ">";
      const spec = `${align}${flags.includes("+") ? "+" : ""}${flags.includes("0") && align === ">" ? "0" : ""}${width ?? ""}`;
      if ("sr".includes(kind)) {
        const whole = kind === "s" ? textOf(item) : reprOf(item);
        return formatValue(whole, digits === undefined ? spec : `${spec}.${digits}`);
      }
      if ("diu".includes(kind)) return formatValue(truncated(item), `${spec}d`);
      if ("xXo".includes(kind)) return formatValue(item, `${spec}${kind}`);
      if ("feE".includes(kind)) return formatValue(item, `${spec}.${digits ?? "6"}${kind}`);
      throw new Error(`the format ${JSON.stringify(directive)} is not supported`);
    },
  );
  if (used < values.length && !(value instanceof Map || Array.isArray(value)))
    throw new Error("not all arguments converted during string formatting");
  return text;
}

function fieldOf(value: JinjaValue, name: string): JinjaValue {
  const field = value instanceof Map ? value.get(name) : undefined;
  if (field === undefined) throw new Error(`format: the values have no ${JSON.stringify(name)}`);
  return field;
}

function truncated(value: JinjaValue): number {
  const number = numberOf(value);
  if (number === null) throw new Error(`%d format: a number is required, not ${typeName(value)}`);
  return Math.trunc(number);
}

const FIELD = /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]/g;

/** Python's `format.format(…)`. */
export function formatBraces(format: string, args: readonly JinjaValue[], keywords: KeywordArguments): string {
  let next = 0;
  return format.replaceAll(FIELD, (match, field?: string, conversion?: string, spec?: string) => {
    if (match === "{{" || match === "}}") return match[0];
    if (field === undefined) throw new Error("format: a single '{' or '}' in the text");
    if (/[.[]/.test(field)) throw new Error(`the format field {${field}} is not supported`);
    const value = /^\d*$/.test(field) ? args[field === "" ? next++ : Number(field)] : keywords.get(field);
    if (value === undefined) throw new Error(`format: no argument for {${field}}`);
    return formatValue(conversion === "r" ? reprOf(value) : conversion === "s" ? textOf(value) : value, spec ?? "");
  });
}

const SPEC = /^(?:(.)?([<>^]))?([+-]?)(0?)(\d*)(,?)(?:\.(\d+))?([sdfFexXo%]?)$/u;

/** A value by one of Python's format specs, such as `>8` or `.2f`. */
function formatValue(value: JinjaValue, spec: string): string {
  const match = SPEC.exec(spec);
  if (!match) throw new Error(`the format ${JSON.stringify(spec)} is not supported`);
  const [, fill = " ", align = "", sign, zero, width, comma, precision, kind] = match;
  const number = typeof value === "boolean" && kind === "" ? null : numberOf(value);
  if (number === null && kind !== "" && kind !== "s") {
    throw new Error(`unknown format code '${kind}' for '${typeName(value)}'`);
  }
  let text = number === null ? textOf(value) : numberText(value, Math.abs(number), { kind, precision });
  if (number === null && precision !== undefined) text = Array.from(text).slice(0, Number(precision)).join("");
  if (comma) text = text.replace(/^\d+/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ","));
  const minus = number === null ? "" : number < 0 || Object.is(number, -0) ? "-" : sign === "+" ? "+" : "";
  const missing = Math.max(0, widthArgument(Number(width), "format") - minus.length - Array.from(text).length);
  if (zero && (align === "" || number !== null)) return minus + "0".repeat(missing) + text;
  const before = align === "^" ? missing >> 1 : (align || (number === null ? "<" : ">")) === ">" ? missing : 0;
  return fill.repeat(before) + minus + text + fill.repeat(missing - before);
}

function numberText(
  value: JinjaValue,
  size: number,
  { kind, precision }: { kind: string; precision: string | undefined },
): string {
  const digits = precision === undefined ? 6 : Number(precision);
  if (kind === "f" || kind === "F") return size.toFixed(digits);
  if (kind === "%") return `${(size * 100).toFixed(digits)}%`;
  if (kind === "e") return exponentText(size.toExponential(digits));
  if (value instanceof Float) {
    if (kind !== "" || precision !== undefined) throw new Error(`unknown format code '${kind || "."}' for 'float'`);
    return floatText(size);
  }
  if (kind === "x" || kind === "X") return kind === "x" ? size.toString(16) : size.toString(16).toUpperCase();
  return kind === "o" ? size.toString(8) : String(size);
}
