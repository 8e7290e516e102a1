import { floatText, joinedText, widthArgument } from "./text.ts";
import { argumentOf, Float, itemsOf, type JinjaValue, type KeywordArguments, Tuple, typeName } from "./values.ts";

interface JsonStyle {
  readonly ascii: boolean;
  /** What a level is indented by; null writes all on one line. */
  readonly indent: string | null;
  readonly separators: readonly [item: string, key: string];
  readonly sorted: boolean;
}

/** `tojson` as transformers defines it: Python's json.dumps, which leaves letters beyond ASCII as they are. */
export function jsonFilter(value: JinjaValue, args: readonly JinjaValue[], keywords: KeywordArguments): string {
  const given = (position: number, name: string) => argumentOf({ args, keywords }, position, name);
  const indent = given(1, "indent");
  const step = indent === null || typeof indent === "string" ? indent : " ".repeat(widthArgument(indent, "indent"));
  const separators = given(2, "separators");
  const [item, key] = separators === null ? [step === null ? ", " : ",", ": "] : itemsOf(separators);
  return jsonText(value, {
    ascii: given(0, "ensure_ascii") === true,
    indent: step,
    separators: [String(item), String(key)],
    sorted: given(3, "sort_keys") === true,
  });
}

function jsonText(value: JinjaValue, style: JsonStyle, margin = "\n"): string {
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return stringText(value, style);
  if (value instanceof Float) return Number.isFinite(value.value) ? floatText(value.value) : jsonInfinity(value.value);
  const inner = style.indent === null ? "" : margin + style.indent;
  if (value instanceof Map) {
    const entries = [...value].map(([key, one]): [string, JinjaValue] => [keyText(key), one]);
    if (style.sorted) entries.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
    const texts = entries.map(
      ([key, one]) => stringText(key, style) + style.separators[1] + jsonText(one, style, inner),
    );
    return enclosed("{", texts, "}");
  }
  if (Array.isArray(value) || value instanceof Tuple) {
    const texts = itemsOf(value).map((one) => jsonText(one, style, inner));
    return enclosed("[", texts, "]");
  }
  throw new Error(`Object of type ${typeName(value)} is not JSON serializable`);

  function enclosed(open: string, texts: readonly string[], close: string): string {
    const outer = style.indent === null || texts.length === 0 ? "" : margin;
    const lines = texts.map((text) => inner + text);
    return open + joinedText(lines, style.separators[0]) + outer + close;
  }
}

function jsonInfinity(value: number): string {
  return Number.isNaN(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
}

function keyText(key: JinjaValue): string {
  if (typeof key === "string") return key;
  if (key === null || typeof key === "boolean" || typeof key === "number") return String(key);
  throw new Error(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function stringText(text: string, { ascii }: JsonStyle): string {
  const json = JSON.stringify(text);
  if (!ascii) return json;
  return json.replaceAll(/[\x7f-\uffff]/g, (char) =>
    char === "\x7f" ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
