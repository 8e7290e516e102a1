// npm run bench:peers [-- [SMOLLM2_FOLDER] --json --only=NAME,… --turns=N --no-agreement]: layerwise beside llama.cpp
// on the same numbers, the same threads and lengths, processes taking turns; medians, ratio first. Run it alone on the
// machine.
import { pathToFileURL } from "node:url";
import { stamp, table } from "../../scripts/results/common.mjs";
import { agreement } from "./agreement.mjs";
import { findPeers, median, runOurs } from "./runners.mjs";
import { SUBJECTS } from "./subjects.mjs";

const TESTS = [
  { title: "generation, 128 after 128", promptTokens: 128, generateTokens: 128 },
  { title: "prompt of 512", promptTokens: 512, generateTokens: 0 },
];
const THREADS = [1, 2];
/** Runs of one process after its warm-up. */
const REPEATS = 3;

const note = (line) => process.stderr.write(`${line}\n`);

/** Measures everything; what `--json` prints, and more in `details`. */
export async function comparePeers({ only = Object.keys(SUBJECTS), turns = 5, withAgreement = true } = {}) {
  const details = [];
  const agreements = [];
  let chosen = null;
  for (const name of only) {
    const { title, make } = SUBJECTS[name];
    note(`${title}: making artifact and GGUF file`);
    const subject = await make();
    chosen ??= await choosePeer(subject);
    for (const test of TESTS) {
      for (const threads of THREADS)
        details.push(await compare(title, subject, { ...test, threads }, chosen.peer, turns));
    }
    if (withAgreement && name.startsWith("smollm2") && chosen.native) {
      note(`${title}: comparing perplexity and greedy tokens`);
      agreements.push({ name: title, ...(await agreement(subject, chosen.native.bin)) });
    }
  }
  const results = details.map(({ name, ours, peer, ratio }) => ({ name, ours, peer, ratio }));
  const { machine, date, commit } = stamp();
  return { machine, date, commit, peer: chosen.peer.name, peers: chosen.speeds, turns, results, details, agreements };
}

/** Of several builds of llama.cpp the faster one on this subject, by the product of its speeds. */
async function choosePeer(subject) {
  const peers = findPeers();
  const speeds = [];
  for (const peer of peers) {
    const tests = TESTS.flatMap((test) => THREADS.map((threads) => ({ ...test, threads, repeats: REPEATS })));
    const tokensPerSecond = [];
    for (const test of tests) tokensPerSecond.push((await peer.run(subject, test)).tokensPerSecond);
    speeds.push({
      name: peer.name,
      tests: tests.map(({ title, threads }) => `${title}, threads ${threads}`),
      tokensPerSecond,
    });
    note(`${peer.name}: ${tokensPerSecond.map((speed) => speed.toFixed(1)).join(", ")} tokens/s`);
  }
  const product = ({ tokensPerSecond }) => tokensPerSecond.reduce((all, speed) => all * speed, 1);
  const best = speeds.reduce((a, b, i) => (product(b) > product(speeds[a]) ? i : a), 0);
  return { peer: peers[best], native: peers.find(({ bin }) => bin), speeds };
}

async function compare(title, subject, test, peer, turns) {
  const name = `${title}, ${test.title}, ${test.threads} ${test.threads === 1 ? "thread" : "threads"}`;
  const ours = [];
  const theirs = [];
  const bandwidths = [];
  let weights = null;
  for (let turn = 0; turn < turns; turn++) {
    const measured = await runOurs(subject, { ...test, repeats: REPEATS });
    ours.push(measured.tokensPerSecond);
    weights = measured.result.bandwidth;
    bandwidths.push(weights.bytesPerSecond);
    theirs.push((await peer.run(subject, { ...test, repeats: REPEATS })).tokensPerSecond);
    note(`${name}: turn ${turn + 1} of ${turns}: ${ours[turn].toFixed(1)} beside ${theirs[turn].toFixed(1)} tokens/s`);
  }
  const bytesPerToken = weights.weightBytesPerToken + weights.kvBytesPerToken;
  const bandwidth = median(bandwidths);
  const speed = median(ours);
  return {
    ...{ name, subject: title, test: test.title, threads: test.threads },
    ...{ ours: speed, peer: median(theirs), ratio: speed / median(theirs), oursTurns: ours, peerTurns: theirs },
    // A prompt's weights are read once for many tokens: only generation is bounded by the bandwidth.
    bandwidth:
      test.generateTokens === 0
        ? null
        : { bytesPerSecond: bandwidth, bytesPerToken, fraction: (bytesPerToken * speed) / bandwidth },
  };
}

/** The comparison as tables. */
export function comparisonText({ details, peer, peers, turns, agreements }) {
  const rows = details.map(({ name, ratio, ours, peer: theirs, bandwidth }) => [
    name,
    `${ratio.toFixed(2)}x`,
    ours.toFixed(1),
    theirs.toFixed(1),
    bandwidth
      ? `${(100 * bandwidth.fraction).toFixed(0)} % of ${(bandwidth.bytesPerSecond / 1e9).toFixed(1)} GB/s`
      : "",
  ]);
  const head = ["what", "ratio", "layerwise tokens/s", "llama.cpp tokens/s", "ours, of the bandwidth"];
  const others = peers.map(
    ({ name, tokensPerSecond }) => `${name} ${tokensPerSecond.map((s) => s.toFixed(0)).join(", ")}`,
  );
  const same = agreements.map(
    ({ name, perplexity, greedy }) =>
      `${name}: perplexity ${perplexity.ours.toFixed(4)} here, ${perplexity.peer.toFixed(4)} there; ${greedy.same} of ${greedy.characters} characters of ${greedy.prompts} greedy continuations are the same before the first difference.`,
  );
  const protocol = `Medians of ${turns} turns (each a process with a warm-up and ${REPEATS} runs), the two sides in turn; peer: ${peer} (the faster of: ${others.join("; ")} tokens/s).`;
  return [table(head, rows), protocol, ...same].join("\n\n");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const flag = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const compared = await comparePeers({
    only: flag("only")?.split(","),
    turns: Number(flag("turns") ?? 5),
    withAgreement: !process.argv.includes("--no-agreement"),
  });
  console.log(process.argv.includes("--json") ? JSON.stringify(compared, null, 2) : comparisonText(compared));
}
