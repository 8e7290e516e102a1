import { describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import { applyChatTemplate, type ChatMessage } from "../../src/model/chat-template.ts";
import { templateTokenizer } from "./template-tokenizer.ts";

const CHATML = `{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are helpful<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`;

const LLAMA = `{{ bos_token }}{% for message in messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {% endif %}
    {% if message['role'] == 'user' %}
[INST] {{ message['content'].strip() }} [/INST]
    {%- else %} {{ message['content'] }}{{ eos_token }}
    {%- endif %}
{% endfor %}`;

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

function refusal(template: string | null, messages: ChatMessage[]): UserError {
  try {
    applyChatTemplate(templateTokenizer(template), messages);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("the messages were accepted");
}

describe("applyChatTemplate", () => {
  it("renders ChatML with the default system message, and opens the answer on request", () => {
    const tokenizer = templateTokenizer(CHATML);
    const turns = "<|im_start|>system\nYou are helpful<|im_end|>\n<|im_start|>user\nHi {{ x }}<|im_end|>\n";
    expect(applyChatTemplate(tokenizer, [user("Hi {{ x }}")])).toBe(turns);
    expect(applyChatTemplate(tokenizer, [user("Hi {{ x }}")], { addGenerationPrompt: true })).toBe(
      `${turns}<|im_start|>assistant\n`,
    );
  });

  it("gives the template its special tokens, and trims blocks as transformers does", () => {
    const text = applyChatTemplate(templateTokenizer(LLAMA), [user(" Hi "), assistant("Yes."), user("Why?")]);
    expect(text).toBe("<s>[INST] Hi [/INST] Yes.</s>[INST] Why? [/INST]");
  });

  it("knows what transformers' templates may call, and writes a fixed day unless it is told another", () => {
    const template = `{% for i in range(2) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %} {{ strftime_now('%A %d %b %Y, %B %m %y %H:%M:%S %% %q') }} {{ True and not None }}`;
    expect(applyChatTemplate(templateTokenizer(template), [])).toBe(
      "01531 Friday 26 Jul 2024, July 07 24 00:00:00 % %q True",
    );
    const now = new Date("2031-02-03T04:05:06Z");
    expect(
      applyChatTemplate(templateTokenizer("{{ strftime_now('%d %B %Y %H:%M %-d %-m %I %p %j') }}"), [], { now }),
    ).toBe("03 February 2031 04:05 3 2 04 AM 034");
  });

  it("says in one line why a template refuses the messages", () => {
    const error = refusal(LLAMA, [user("a"), user("b")]);
    expect(error.code).toBe("CHAT_TEMPLATE");
    expect(error.message).toContain(
      "some/model: chat template: expected to render 2 messages: Conversation roles must",
    );
    expect(refusal("{% for %}", [user("a")]).code).toBe("CHAT_TEMPLATE");
  });

  it("refuses a model without a template, with a hint", () => {
    const error = refusal(null, [user("a")]);
    expect(error.code).toBe("CHAT_TEMPLATE_MISSING");
    expect(error.message).not.toContain("\n");
    expect(error.hint).toContain("chat_template.jinja");
  });
});

describe("templates have no end of their own", () => {
  const list = "{% set l = range(100000) | list %}";

  it.each([
    ["loops", `${list}{% for i in l %}{% for j in l %}x{% endfor %}{% endfor %}`],
    ["long steps", `${list}{% for i in l %}{% if l | sort %}{% endif %}{% endfor %}`],
    ["a margin", "{{ messages | tojson(indent=100000000) }}"],
    ["a margin on every line", "{{ range(1000) | list | tojson(indent=1000000) }}"],
  ])("%s", (_, template) => {
    const began = performance.now();
    expect(() => applyChatTemplate(templateTokenizer(template), [user("hi")])).toThrow(
      /expected to render 1 messages: .*(not supported|still busy after 1.0 s)/,
    );
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
