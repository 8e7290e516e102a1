import picomatch from "picomatch";
import { z } from "zod";
import { CODECS, type CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import type { MatrixInfo } from "../../model/decoder-spec.ts";
import { blockName } from "../../model/matrix-id.ts";
import { didYouMean } from "../../near-names.ts";
import type { Scores } from "../../scoring/scores.ts";
import { choiceFault, codecOfWidth, float16For, nearestWidth, resolveChoice, widthOf } from "./codec-choice.ts";

/** What a rule does to the matrices it matches. */
export type RuleEffect =
  | { readonly kind: "atLeast" | "atMost"; readonly bits: number }
  | { readonly kind: "pin"; readonly choice: string }
  | { readonly kind: "exclude" };

/** A rule as the recipe has it: a glob over matrices and an effect. */
export interface Rule {
  readonly glob: string;
  readonly effect: RuleEffect;
  /** "mlp.down: >= 6 bits", for plans and messages. */
  readonly text: string;
}

/** What rules need to know beside the matrices. */
export interface RuleContext {
  /** The recipe's codecs for blocks, widest first. */
  readonly codecs: readonly CodecId[];
  /** Type that the checkpoint's weights are stored in, e.g. BF16. */
  readonly storedDtype: string;
}

/** `>= 6 bits`, `<= 8 bits`, `= 8 bits`, `8 bits`, a codec id, or `exclude`. */
export const RuleText = z
  .union([z.string(), z.number()])
  .transform((value) => String(value).trim())
  .superRefine((text, context) => {
    const fault = typeof effectOf(text) === "string" ? effectOf(text) : null;
    if (fault) context.addIssue({ code: "custom", message: String(fault) });
  });

/** The recipe's rules in their order. Throws a plain Error on texts that {@link RuleText} would refuse. */
export function parseRules(rules: Readonly<Record<string, string>>): Rule[] {
  return Object.entries(rules).map(([glob, text]) => {
    const effect = effectOf(text);
    if (typeof effect === "string") throw new Error(`rule ${glob}: ${effect}`);
    return { glob, effect, text: `${glob}: ${text}` };
  });
}

/**
 * The last rule that matches each matrix, by id. Throws UserError `RULE_MATCHES_NOTHING` for a glob without a match.
 */
export function matchRules(rules: readonly Rule[], matrices: readonly MatrixInfo[]): Map<string, Rule> {
  const matched = new Map<string, Rule>();
  for (const rule of rules) {
    const matches = matcherOf(rule.glob);
    const hits = matrices.filter((matrix) => matches(namesOf(matrix)));
    if (hits.length === 0) throw noMatch(rule, matrices);
    for (const matrix of hits) matched.set(matrix.id, rule);
  }
  return matched;
}

/** The codecs that a rule leaves of `candidates` (widest first); at least one. */
export function candidatesUnder(effect: RuleEffect, candidates: readonly CodecId[], context: RuleContext): CodecId[] {
  if (effect.kind === "exclude") return [float16For(context.storedDtype)];
  if (effect.kind === "pin") return [resolveChoice(effect.choice, context.storedDtype, context.codecs)];
  const { kind, bits } = effect;
  const fits = (id: CodecId) => (kind === "atLeast" ? CODECS[id].bits >= bits : CODECS[id].bits <= bits);
  const left = candidates.filter(fits);
  if (left.length > 0) return left;
  const others = context.codecs.filter(fits);
  const nearest = kind === "atLeast" ? others.at(-1) : others[0];
  const width = nearestWidth(bits, kind);
  if (!nearest && width === undefined) throw new Error(`no codec of ${kind} ${bits} bits`);
  return [nearest ?? codecOfWidth(width ?? bits, context.storedDtype, context.codecs)];
}

/** The effect that a text states, or why it states none. */
function effectOf(text: string): RuleEffect | string {
  if (text === "exclude") return { kind: "exclude" };
  const match = /^(>=|<=|=)?\s*(.+)$/.exec(text);
  if (!match) return 'expected ">= 6 bits", "<= 8 bits", "= 8 bits", a codec or "exclude"';
  const [, sign, rest] = match;
  const fault = choiceFault(rest);
  if (sign !== ">=" && sign !== "<=") return fault ?? { kind: "pin", choice: rest };
  const bits = widthOf(rest);
  if (bits === null) return `expected a width such as "${sign} 6 bits"`;
  const kind = sign === ">=" ? "atLeast" : "atMost";
  return nearestWidth(bits, kind) === undefined ? "expected a width that some codec has" : { kind, bits };
}

/** What a glob may match: `blocks.3.mlp.down`, `mlp.down`, and the whole block `blocks.3`. */
export function namesOf(matrix: MatrixInfo): string[] {
  return matrix.block === null ? [matrix.id] : [matrix.id, matrix.role, blockName(matrix.block)];
}

/** Whether a glob matches one of a matrix's names; with a leading `!`, none of them. */
export function matcherOf(glob: string): (names: readonly string[]) => boolean {
  const [, negation, pattern] = /^(!?)(.+)$/s.exec(glob) ?? ["", "", glob];
  const matches = picomatch(pattern, { expandRange, nonegate: true });
  return (names) => names.some((name) => matches(name)) !== (negation === "!");
}

/** `{8..15}` as alternatives; picomatch leaves ranges to its caller. */
function expandRange(from: string, to: string): string {
  const first = Number(from);
  const last = Number(to);
  if (!Number.isInteger(first) || !Number.isInteger(last) || Math.abs(last - first) > 10_000) return `{${from}..${to}}`;
  const step = Math.sign(last - first) || 1;
  const numbers = Array.from({ length: Math.abs(last - first) + 1 }, (_, i) => first + i * step);
  return `(${numbers.join("|")})`;
}

function noMatch(rule: Rule, matrices: readonly MatrixInfo[]): UserError {
  const names = matrices.flatMap(namesOf);
  const roles = [...new Set(matrices.map((matrix) => matrix.role))];
  const hint = didYouMean(
    rule.glob,
    names,
    `matrices are ${roles.join(", ")}, or in full such as ${matrices.at(-1)?.id}`,
  );
  const message = `rule "${rule.text}": expected a glob that matches a matrix, found no match for "${rule.glob}"`;
  return new UserError("RULE_MATCHES_NOTHING", message, hint);
}

/** Scores by matrix without the codecs that rules forbid a matrix: what was measured there is another codec's. */
export function withinRules(
  scores: Scores,
  matrices: readonly { readonly id: string; readonly candidates: readonly string[] }[],
): Scores {
  const allowed = new Map(matrices.map(({ id, candidates }) => [id, new Set(candidates)]));
  const kept = <T>(table: Readonly<Record<string, Readonly<Record<string, T>>>>) =>
    Object.fromEntries(
      Object.entries(table).map(([id, byCodec]) => [
        id,
        Object.fromEntries(Object.entries(byCodec).filter(([codec]) => allowed.get(id)?.has(codec) ?? true)),
      ]),
    );
  const { losses, details } = scores;
  return { ...scores, losses: losses && kept(losses), ...(details && { details: kept(details) }) };
}
