/** Up to `count` of `names` that are most alike `name` (edit distance, at most half its length), for "did you mean". */
export function nearNames(name: string, names: readonly string[], count = 3): string[] {
  const wanted = name.toLowerCase();
  const limit = Math.max(2, Math.floor(wanted.length / 2));
  return [...new Set(names)]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** The one of `names` that was probably meant: the only one that begins so, else the one most alike; null: none. */
export function meantName(name: string, names: readonly string[]): string | null {
  const begun = name.length > 2 ? names.filter((candidate) => candidate.startsWith(name)) : [];
  return begun.length === 1 ? begun[0] : (nearNames(name, names, 1)[0] ?? null);
}

/** `did you mean a, b or c?`, or `otherwise` where nothing is near. */
export function didYouMean(name: string, names: readonly string[], otherwise: string): string {
  const near = nearNames(name, names);
  if (near.length === 0) return otherwise;
  const last = near[near.length - 1];
  return `did you mean ${near.length === 1 ? last : `${near.slice(0, -1).join(", ")} or ${last}`}?`;
}

/** Levenshtein distance: insertions, deletions and substitutions, each 1. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
