import { type DecoderSpec, type MatrixInfo, matricesOf } from "../../model/decoder-spec.ts";
import type { Role } from "../../model/matrix-id.ts";
import type { Losses } from "../scores.ts";

/**
 * Ids of the matrices that are probed: embedding and head, and of each role's matrices, in order of blocks, the first,
 * the second, every `every`-th and the last. The second, since what a first block's matrix costs says little about the
 * others.
 */
export function probedMatrices(spec: DecoderSpec, every: number): Set<string> {
  const isProbed = (i: number, count: number) => i === 1 || i === count - 1 || i % every === 0;
  return new Set(
    [...byRole(spec).values()].flatMap((alike) =>
      alike.filter((_, i) => isProbed(i, alike.length)).map(({ id }) => id),
    ),
  );
}

/** One matrix that was probed: its block, and ln(loss / error). */
interface Point {
  readonly block: number;
  readonly ratio: number;
}

/**
 * Probes of every matrix that has an error: the measured ones, and for the others loss = error x ratio, where ln(ratio)
 * lies on the straight line over blocks between ln(loss / error) of the same role's nearest probed matrices before and
 * after. A matrix gets none where no matrix of its role says anything (loss or error 0).
 */
export function spreadProbes(spec: DecoderSpec, probes: Losses, errors: Losses): Losses {
  const codecs = new Set(Object.values(probes).flatMap((byCodec) => Object.keys(byCodec)));
  const spread: Losses = { ...probes };
  for (const alike of byRole(spec).values()) {
    for (const codec of codecs) {
      const points = pointsOf(alike, codec, probes, errors);
      for (const { id, block } of alike) {
        const error = errors[id]?.[codec];
        if (probes[id] || error === undefined || points.length === 0) continue;
        spread[id] = { ...spread[id], [codec]: error * Math.exp(ratioAt(points, block ?? 0)) };
      }
    }
  }
  return spread;
}

function byRole(spec: DecoderSpec): Map<Role, MatrixInfo[]> {
  const matrices = matricesOf(spec);
  const roles = new Set(matrices.map(({ role }) => role));
  return new Map([...roles].map((role) => [role, matrices.filter((matrix) => matrix.role === role)]));
}

/** By rising block. */
function pointsOf(alike: readonly MatrixInfo[], codec: string, probes: Losses, errors: Losses): Point[] {
  return alike.flatMap(({ id, block }): Point[] => {
    const [loss = 0, error = 0] = [probes[id]?.[codec], errors[id]?.[codec]];
    return loss > 0 && error > 0 ? [{ block: block ?? 0, ratio: Math.log(loss / error) }] : [];
  });
}

/** On the line between the points around the block; beyond them the nearest one's. */
function ratioAt(points: readonly Point[], block: number): number {
  const next = points.findIndex((point) => point.block >= block);
  if (next < 0) return points[points.length - 1].ratio;
  const to = points[next];
  if (next === 0 || to.block === block) return to.ratio;
  const from = points[next - 1];
  const share = (block - from.block) / (to.block - from.block);
  return from.ratio + share * (to.ratio - from.ratio);
}
