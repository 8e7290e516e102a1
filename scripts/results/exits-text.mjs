// The section of docs/results.md on early exits and DSSD.
import { MIB, table, taken } from "./common.mjs";

const TITLES = { smollm2: "SmolLM2-135M", neox: "neox-tiny", example: "the bundled example" };
const percent = (share, digits = 1) => (share === null ? "" : `${(100 * share).toFixed(digits)} %`);
const times = (ratio) => (ratio === null || ratio === undefined ? "" : `${ratio.toFixed(2)}x`);
const count = (number) => number.toLocaleString("en-US");
const BOUNDS = { waste: "wrong drafts", heads: "heads", drafts: "drafting blocks", rows: "rows to verify" };

/** A table over all models, a note on each (after) and when it was taken; nothing where the part was not measured. */
function part(found, title, head, rowsOf, after = () => "") {
  if (!found) return [];
  const rows = Object.entries(found).flatMap(([name, one]) => rowsOf(one, TITLES[name]));
  const notes = Object.entries(found).map(([name, one]) =>
    [after(one, TITLES[name], name), taken(one)].filter(Boolean).join(" "),
  );
  return [`**${title}**\n\n${table(head, rows)}\n\n${[...new Set(notes)].join("\n\n")}`];
}

function textRows({ rows }, title) {
  return rows.map(({ name, epsilon, prompts, tokens, drafted, accepted, differences }) => {
    const gaps = differences.map(({ gap }) => gap);
    return [
      ...[title, name ?? epsilon, prompts, count(tokens), count(drafted), count(accepted), differences.length],
      gaps.length === 0 ? "" : Math.max(...gaps).toPrecision(2),
    ];
  });
}

function textNote({ executor, prompts, generateTokens }, title) {
  const name = [executor.executor, executor.isa ?? executor.backend].filter(Boolean).join(" ");
  return `${title}: ${name}, ${prompts}, ${generateTokens} tokens of each, end-of-sequence ignored, at most 8 drafts.`;
}

const TEXT_HEAD = [
  ...["model", "DSSD", "prompts", "tokens compared", "drafted", "accepted", "texts that differ"],
  "largest gap of the two first logits there",
];

function headRows({ table: { exits, training } }, title) {
  return (training.heads ?? []).map(({ agreement, lensAgreement, tokens }, i) => [
    ...[title, exits[i].blocks, percent(agreement), percent(lensAgreement)],
    `${(100 * (agreement - lensAgreement)).toFixed(1)} points`,
    count(tokens),
  ]);
}

function depthRows({ agreement, tokens, prompts }, title) {
  const curve = agreement.map((share, i) => `${i + 1}: ${(100 * share).toFixed(0)} %`);
  return [[title, curve.join(", "), `${count(tokens)} tokens of ${prompts}`]];
}

function levelRows({ table: { levels }, blocks }, title) {
  return levels.map(({ epsilon, report }) => {
    const { coverage, agreement, agreementError, meanBlocks, tokens } = report;
    const kept = agreement === null ? "no token leaves" : agreement >= epsilon - 2 * agreementError ? "yes" : "no";
    return [
      ...[title, epsilon.toFixed(2), percent(coverage)],
      agreement === null ? "" : `${percent(agreement)} ± ${percent(agreementError)}`,
      ...[kept, `${meanBlocks.toFixed(1)} of ${blocks}`, count(tokens)],
    ];
  });
}

/** Drafts of a round of the rows that are shown: others differ little. */
const SHOWN_LIMIT = 8;

/**
 * Accepted drafts beside the fixed sweep, at the same share of wasted drafts and at the same number of them a token.
 */
function acceptedRows({ comparisons, rows }, title) {
  const limits = new Map(rows.map(({ name, draftLimit }) => [name, draftLimit]));
  const shown = comparisons.filter(({ rate, name }) => rate === "ofDrafts" && limits.get(name) === SHOWN_LIMIT);
  return shown.map((byDrafts) => {
    const byTokens = comparisons.find(({ rate, name }) => rate === "ofTokens" && name === byDrafts.name);
    const cells = ({ waste, best, ratio, mixedAccepted, mixedRatio }) => [
      percent(waste),
      waste === null ? "" : (best ?? "none wastes so little"),
      ...[times(ratio), waste !== null && mixedAccepted === 0 ? "none either" : times(mixedRatio)],
    ];
    return [title, byDrafts.name, percent(byDrafts.acceptedPerToken), ...cells(byDrafts), ...cells(byTokens)];
  });
}

function speedRows({ rows }, title) {
  return rows
    .filter(({ kind }) => kind !== "plain")
    .map(({ name, drafted, acceptedPerRound, wastedShare, ratio, predicted, exact }) => [
      ...[title, name, count(drafted), acceptedPerRound.toFixed(2), percent(wastedShare)],
      ratio ? `${times(ratio.median)} ± ${ratio.quartileDeviation.toFixed(2)}` : "",
      ...[times(predicted?.ratio), predicted ? BOUNDS[predicted.bound] : "", exact ? "yes" : "no"],
    ]);
}

/** What the parts cost, and what the fastest drafter would be without each. */
function costNote({ costs, rows, perfect, prompts, count: number, generateTokens }, title) {
  const { plainMs, stages, exits } = costs;
  const of = (ms) => `${ms.toFixed(2)} ms (${percent(ms / plainMs)})`;
  const climbs = exits.map(({ blocks, headMs }, i) => {
    const climb = stages.slice(0, i + 1).reduce((sum, stage) => sum + stage[0].ms, 0);
    return `to exit ${blocks} ${of(climb)}, its head ${of(headMs)}`;
  });
  const many = stages.reduce((sum, stage) => sum + stage.at(-1).ms, 0);
  const timed = rows.filter(({ predicted, ratio }) => predicted && ratio);
  const fastest = timed.reduce((best, row) => (row.ratio.median > best.ratio.median ? row : best));
  const { without } = fastest.predicted;
  return [
    `${title}: ${number} prompts (${prompts}), up to ${generateTokens} tokens each. A plain token takes ${plainMs.toFixed(2)} ms; drafting ${climbs.join("; ")}; a pass of ${stages[0].at(-1).rows} rows ${of(many)}.`,
    `By these costs ${fastest.name} would be ${times(without.waste)} if every draft were right, ${times(without.drafts)} with free drafting blocks, ${times(without.rows)} with free further rows, ${times(without.heads)} with free heads.`,
    perfect
      ? `If every exit knew when it is right, ${percent(perfect.coverage)} of the tokens would leave early: ${times(perfect.predicted.ratio)} at most, ${times(perfect.predicted.without.heads)} with free heads.`
      : "",
  ].join(" ");
}

/** Tokens of all splits. */
function allOf(tokens) {
  return Object.values(tokens).reduce((sum, number) => sum + number, 0);
}

function trainingRows({ seconds, peakRssBytes, tokens, data, fileBytes, addedBytes, artifactBytes }, title) {
  return [
    [
      ...[
        title,
        `${count(allOf(tokens))}${data === "self" ? ", the model's own text" : ""}`,
        `${(seconds / 60).toFixed(1)} min`,
        `${(peakRssBytes / MIB).toFixed(0)} MiB`,
      ],
      ...[
        `${(fileBytes / MIB).toFixed(2)} MiB`,
        `${(addedBytes / MIB).toFixed(2)} MiB`,
        percent(addedBytes / artifactBytes),
      ],
    ],
  ];
}

function resumeRows({ tokens, undisturbedSeconds, killedAfterSeconds, same, found }, title) {
  return [
    [
      ...[
        title,
        count(allOf(tokens)),
        `${undisturbedSeconds.toFixed(0)} s`,
        killedAfterSeconds.map((at) => `${at.toFixed(1)} s`).join(", "),
      ],
      ...[same ? "yes" : "no", found["exits.safetensors"].slice(0, 12)],
    ],
  ];
}

/** The parts that were measured, in the order of what they show. */
export function exitsText({ lossless, tfjs, levels, depth, accepted, speed, training, resume }) {
  const picture = (_one, title, name) => `![${title}: accepted over wasted drafts](results/exits-${name}.svg)`;
  return [
    ...part(lossless, "DSSD's text is plain decoding's: native", TEXT_HEAD, textRows, textNote),
    ...part(tfjs, "And on TensorFlow.js, up to close logits", TEXT_HEAD, textRows, textNote),
    ...part(
      levels,
      "Each head alone, over the whole vocabulary",
      ["model", "after blocks", "agrees", "logit lens there", "gained", "held-out tokens"],
      headRows,
    ),
    ...part(depth, "Agreement by depth: the logit lens after so many blocks", ["model", "agrees", "text"], depthRows),
    ...part(
      levels,
      "The cascade on held-out text: agreement of at least epsilon - 2 standard errors",
      ["model", "epsilon", "leave early", "agree", "kept", "mean blocks", "tokens"],
      levelRows,
    ),
    ...part(
      accepted,
      "Accepted drafts over those of fixed exits and draft lengths that waste no more; of mixtures of two of them, or of one and plain decoding, that waste as much",
      [
        ...["model", "DSSD", "accepted of tokens", "wasted of drafts", "best fixed", "ratio", "to the best mixture"],
        ...["wasted of tokens", "best fixed", "ratio", "to the best mixture"],
      ],
      acceptedRows,
      picture,
    ),
    ...part(
      speed,
      "Speed beside plain decoding, in turns, 2 threads",
      ["model", "drafter", "drafted", "accepted a round", "wasted", "of plain", "cost model", "bound by", "same text"],
      speedRows,
      costNote,
    ),
    ...part(
      training,
      "Training three heads",
      ["model", "tokens", "time", "peak memory", "exits file", "added at run time", "of the artifact"],
      trainingRows,
    ),
    ...part(
      resume,
      "Killed and run again",
      ["model", "tokens", "undisturbed", "killed after", "same bytes", "sha256 of the exits"],
      resumeRows,
    ),
  ].join("\n\n");
}
