import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { applyChatTemplate } from "../../../src/model/chat-template.ts";
import { templateTokenizer } from "../template-tokenizer.ts";

/**
 * [template, the text that Python's Jinja2 3.1.6 makes of it with transformers' settings; null where Jinja2 fails],
 * for a conversation of three turns (test/fixtures/README.md).
 */
const forms: [template: string, expected: string | null][] = JSON.parse(
  fs.readFileSync(new URL("../../fixtures/jinja/forms.json", import.meta.url), "utf8"),
);

/** Forms of Jinja that are refused here, with what the refusal names. */
const REFUSED: [template: string, named: RegExp][] = [
  ["{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}", /comparisons in a chain/],
  ["{% with a = 1 %}{{ a }}{% endwith %}", /Unknown statement type: with/],
  ["{% for i in range(3) recursive %}{{ i }}{% endfor %}", /Expected closing statement token/],
  ["{{ 1_000 }}{{ 1e3 }}", /Expected closing expression token/],
  ["{{ (1,) }}{{ () }}", /Unexpected token: CloseParen/],
  ["{{ 'a'.encode() }}", /'str object' has no attribute 'encode'/],
  ["{{ cycler('a','b').next() }}", /'cycler' is undefined/],
  ["{{ joiner(', ')() }}", /'joiner' is undefined/],
  ["{{ '<a>'|e }}{{ '<a>'|escape }}", /the filter 'e' is not supported/],
  ["{{ 'a'|urlencode }}", /the filter 'urlencode' is not supported/],
  ["{{ 'abcdef'|truncate(5) }}", /the filter 'truncate' is not supported/],
  ["{{ 'a b'|wordwrap(1) }}", /the filter 'wordwrap' is not supported/],
  ["{{ '{a.b}'.format(a={'b': 1}) }}", /the format field \{a.b\} is not supported/],
  ["{{ '{0[0]}'.format(['q']) }}", /the format field \{0\[0\]\} is not supported/],
];

const turns = ["Hi", "Yes", "Why?"].map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content }));

const render = (template: string): string =>
  applyChatTemplate(templateTokenizer(template), turns, { addGenerationPrompt: true });

function refusalOf(template: string): UserError {
  try {
    render(template);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error(`rendered: ${template}`);
}

describe("template-jinja-forms: the text that Jinja2 makes, or a refusal that names the form", () => {
  const refused = new Map(REFUSED);

  test.each(forms.filter(([template]) => !refused.has(template)))("%s", (template, expected) => {
    if (expected === null) expect(refusalOf(template).code).toBe("CHAT_TEMPLATE");
    else expect(render(template)).toBe(expected);
  });

  test.each(REFUSED)("refused: %s", (template, named) => {
    expect(forms.map(([form]) => form)).toContain(template);
    const refusal = refusalOf(template);
    expect(refusal.message).toMatch(named);
    expect(refusal.message).not.toContain("\n");
    expect(refusal.hint).toContain("a form that is not supported");
  });

  test("only what the template itself raises is put down to the turns", () => {
    expect(refusalOf("{{ raise_exception('boo') }}").hint).toContain("alternation");
    expect(refusalOf("{{ 'a' + 1 }}").hint).not.toContain("alternation");
  });

  test("a template cannot run, grow or nest without end", () => {
    const loop = "{% for i in range(99999) %}";
    expect(refusalOf(`${loop}${loop}x{% endfor %}{% endfor %}`).message).toMatch(/steps are not supported|still busy/);
    expect(refusalOf("{{ 'x' * 99999999999 }}").message).toContain("is not supported");
    expect(refusalOf("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").message).toContain("nests too deeply");
    expect(refusalOf("{{ 'x'.rjust(10 ** 9) }}").message).toContain("a width of more than");
    expect(refusalOf("{{ ('x' * 4000)|replace('', 'y' * 4000) }}").message).toContain("a text longer than");
    expect(refusalOf("{{ range(10 ** 9) }}").message).toContain("a range of more than 100000");
    expect(refusalOf("{{ x").message).toContain("has no }}");
    expect(refusalOf("{% if true %}x").message).toContain("has no end");
  });
});

describe("chat-template-crlf: every line end of a template counts as one", () => {
  const template =
    "{% for m in messages %}\n  {% if true %}\n<|{{ m.role }}|>\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n";
  test.each(["\r\n", "\r"])("%j", (end) => {
    expect(render(template.replaceAll("\n", end))).toBe(render(template));
    expect(render(template)).toContain("<|user|>\nHi\n<|assistant|>");
  });
});
