import { describe, expect, test } from "vitest";
import type { Tokenizer } from "../../src/model/tokenizer.ts";
import { turnEndOf } from "../../src/model/turn-end.ts";
import { templateTokenizer } from "./template-tokenizer.ts";

/** A letter a token, and special tokens from id 1000 on. */
function tokenizerWith(chatTemplate: string, specials: readonly string[]): Tokenizer {
  const parts = new RegExp([...specials.map((text) => text.replaceAll(/[|[\]]/g, "\\$&")), "[\\s\\S]"].join("|"), "g");
  return {
    ...templateTokenizer(chatTemplate),
    specialTexts: { eos_token: specials[0] },
    encode: (text) =>
      Int32Array.from(text.match(parts) ?? [], (part) =>
        specials.includes(part) ? 1000 + specials.indexOf(part) : part.charCodeAt(0),
      ),
    decode: (ids, { skipSpecial = false } = {}) =>
      Array.from(ids, (id) =>
        id < 1000 ? String.fromCharCode(id) : skipSpecial ? "" : (specials[id - 1000] ?? ""),
      ).join(""),
  };
}

const CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";

describe("chat-end-of-turn-not-eos: what ends an answer of a chat", () => {
  test("the special token that the template puts behind an answer, known by name or not", () => {
    const chatml = tokenizerWith(CHATML, ["<eos>", "<|im_start|>", "<|im_end|>"]);
    expect(turnEndOf(chatml)).toEqual({ ids: [1002], inTemplate: true });
    const own = tokenizerWith(CHATML.replaceAll("im_", "seg_"), ["<eos>", "<|seg_start|>", "<|seg_end|>"]);
    expect(turnEndOf(own)).toEqual({ ids: [1002], inTemplate: true });
  });

  test("a token behind a line end, or behind the last answer alone", () => {
    const behindLine = "{% for m in messages %}<u>{{ m.content }}\n<e>{% endfor %}";
    expect(turnEndOf(tokenizerWith(behindLine, ["<eos>", "<u>", "<e>"])).ids).toEqual([1002]);
    const lastAlone = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% if loop.last %}<e>{% endif %}{% endfor %}";
    expect(turnEndOf(tokenizerWith(lastAlone, ["<eos>", "<e>"])).ids).toEqual([1001]);
  });

  test("where no token stands behind an answer, the next turn's does", () => {
    const openings = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}";
    const tokenizer = tokenizerWith(openings, ["<eos>", "<|user|>", "<|assistant|>"]);
    expect(turnEndOf(tokenizer)).toEqual({ ids: [1001], inTemplate: true });
  });

  test("names of published models end answers too, where they are tokens", () => {
    const plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    expect(turnEndOf(tokenizerWith(plain, ["<eos>", "<|eot_id|>", "<end_of_turn>"]))).toEqual({
      ids: [1001, 1002],
      inTemplate: false,
    });
    expect(turnEndOf(tokenizerWith(plain, ["<eos>"]))).toEqual({ ids: [], inTemplate: false });
  });

  test("a template that refuses the probe leaves it to the names", () => {
    const refuses = "{{ raise_exception('no') }}";
    expect(turnEndOf(tokenizerWith(refuses, ["<eos>", "<|im_end|>"]))).toEqual({ ids: [1001], inTemplate: false });
  });
});
