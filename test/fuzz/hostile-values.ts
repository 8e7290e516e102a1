import type { Random } from "../../src/tensor/random.ts";
import { Raw, type Tree } from "./tree.ts";

/** One of a list. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.nextInt(list.length)];
}

/** Numbers around the borders of what readers and arithmetic hold. */
export const NUMBERS: readonly (number | Raw)[] = [
  ...[0, -0, 1, -1, 2, 3, 0.5, -0.5, 7, 63, 64, 65, 127, 128, 255, 256, 257, 511, 512, 4096, 65_535, 65_536, 1_000_000],
  ...[1e9, 2 ** 28, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53), 5e-324, 1e-300],
  ...[1e-45, 1e-38, 1e-6, 3.4e38, 3.5e38, 1e300, 1.7e308],
  ...["1e309", "-1e999", "NaN", "Infinity", "-Infinity", "9007199254740993", "18446744073709551615", "1e400000"].map(
    (text) => new Raw(text),
  ),
  ...["1.0", "1e0", "0x10", "+1", "01", ".5", "-", `1${"0".repeat(400)}`, `0.${"3".repeat(2000)}`].map(
    (text) => new Raw(text),
  ),
];

/** Patterns that are wrong, that match nothing or the empty text, and that take exponential time. */
export const PATTERNS: readonly string[] = [
  ...["(", "[", "*", "a{2,1}", "\\", "(?<n>a)\\k<m>", "\\p{Nonsense}", "(?i)a", "(?<=a+)b", "", "^", "$", ".*", "\\b"],
  ...["(a+)+$", "(a|a)*c", "(.*)*x", "(\\w+\\s?)*!$", "([a-z]+)*\\d", "(?:x*)*y", "(x+x+)+y", "a".repeat(50_000)],
  ...[
    "(".repeat(5000),
    `${"(?:".repeat(3000)}a${")".repeat(3000)}`,
    "a{0,99999}",
    "(a{0,999}){0,999}",
    "[\\s\\S]{9999}",
  ],
];

/** Chat templates that loop, recurse, blow up, reach out, or are no templates. */
export const TEMPLATES: readonly string[] = [
  "{% for i in range(1000000000) %}x{% endfor %}",
  "{% for i in range(30000) %}{% for j in range(30000) %}x{% endfor %}{% endfor %}",
  "{% for i in range(0, 10, 0) %}x{% endfor %}",
  "{% for i in range(-1e308, 1e308) %}x{% endfor %}",
  "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
  "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}",
  "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
  "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(27) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
  "{{ 'a' * 1000000000 }}",
  "{{ 'x' | center(1000000000) }}",
  "{{ 'x' | indent(1000000000) }}",
  "{{ ''.constructor.constructor('return process')().exit(3) }}",
  "{{ messages.constructor.constructor('return 1')() }}",
  "{{ messages.__proto__.x }}{% set messages.__proto__.polluted = 1 %}",
  "{{ raise_exception }}{{ raise_exception(messages) }}",
  "{{ nothing.at.all }}",
  "{{ nothing() }}",
  "{{ messages | tojson(indent=1000000) }}",
  "{{ messages | sort | join | upper | nonsense }}",
  "{{ messages[0].content | replace('', 'x') | replace('', 'xxxxxxxxxxxx') | replace('', 'yyyyyyyyyyyyyyyy') }}",
  "{% include '/etc/passwd' %}",
  "{% if",
  "{{",
  "{% endfor %}",
  "{{ strftime_now(messages) }}{{ strftime_now() }}",
  `{{ ${"(".repeat(20_000)}1${")".repeat(20_000)} }}`,
  `{{ ${"[".repeat(50_000)} }}`,
  `{{ ${"not ".repeat(20_000)}1 }}`,
  `{{ 1${"+1".repeat(30_000)} }}`,
  `${"{% if true %}".repeat(3000)}${"{% endif %}".repeat(3000)}`,
  `{{ x${".a".repeat(30_000)} }}`,
  `{{ 'a'${"|upper".repeat(20_000)} }}`,
  "{% set x = [] %}{% set _ = x.append(x) %}{{ x }}",
  "{% set x = {} %}{% set _ = x.update({'a': x}) %}{{ x | tojson }}",
  "\u0000",
  "",
  "a".repeat(300_000),
  `{#${"#".repeat(100_000)}`,
];

/** Texts: names that JavaScript knows, paths, marks of terminals, half characters, long ones. */
export const TEXTS: readonly string[] = [
  ...["", " ", "\0", "\n", "\r\n", "\u2028", "\u001b[31mred", "\ud800", "\udc00x", "🙂", "é", "\u202e", "\ufeff"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "length", "null", "true", "NaN", "0", "-1", "1e999"],
  ...[
    "../../../etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "..",
    ".",
    "a/b",
    "C:\\x",
    "%s%n",
    "{{x}}",
    "$&",
    "<s>",
    "</s>",
  ],
  ...["a".repeat(1000), "a".repeat(200_000), "\ud83d".repeat(500), "\\".repeat(999)],
  ...[
    "BPE",
    "Unigram",
    "WordPiece",
    "WordLevel",
    "ByteLevel",
    "Metaspace",
    "Split",
    "Regex",
    "Sequence",
    "silu",
    "llama",
  ],
  ...[
    "F32",
    "F16",
    "BF16",
    "I8",
    "F8_E4M3",
    "q4s-g32",
    "q8s-g32",
    "model.safetensors",
    "weights-00001-of-00001.safetensors",
  ],
];

const deep = (open: string, close: string, depth: number): Raw =>
  new Raw(`${open.repeat(depth)}1${close.repeat(depth)}`);

/** Values that are deeper, longer or more than a reader may expect. */
const LARGE: readonly ((random: Random) => Tree)[] = [
  (random) => deep("[", "]", pick(random, [5, 50, 99, 101, 8000, 200_000])),
  (random) => deep('{"a":', "}", pick(random, [5, 50, 99, 101, 8000, 100_000])),
  (random) => new Raw(`[${"0,".repeat(pick(random, [1000, 50_000, 300_000]))}0]`),
  (random) => new Raw(`[${"[],".repeat(pick(random, [1000, 50_000, 300_000]))}0]`),
  (random) => new Raw(`{${Array.from({ length: pick(random, [300, 20_000]) }, (_, i) => `"k${i}":${i}`).join(",")}}`),
];

/** Any value that a field may not expect. */
export function hostileValue(random: Random): Tree {
  const kind = random.nextInt(20);
  if (kind < 7) return pick(random, NUMBERS);
  if (kind < 11) return pick(random, TEXTS);
  if (kind < 12) return pick(random, PATTERNS);
  if (kind < 14) return pick(random, [null, true, false]);
  if (kind < 17) return pick<() => Tree>(random, [() => [], () => [[]], () => [null], () => [0, "a"]])();
  if (kind < 19) return pick(random, [new Raw("{}"), new Raw('{"type":"Sequence"}'), new Raw('{"__proto__":{"a":1}}')]);
  return pick(random, LARGE)(random);
}
