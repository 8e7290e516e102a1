import type { RowComparer } from "../../maths/row-comparison.ts";
import type { AnyExecutor, Executor, RunBlocksOptions } from "../../runtime/executor.ts";
import { type AnswersOptions, answersByLogits, answersFor, type HeadAnswers } from "../../runtime/head-answers.ts";
import { type LogitsOptions, OUTPUT_HEAD } from "../../runtime/heads.ts";
import type { RowSpan } from "../../runtime/kv-cache.ts";
import { Ballot } from "./ballot.ts";
import { checkExits, type Exit } from "./exit-set.ts";
import { VOTE_RULES } from "./vote-rules/index.ts";
import { type Voting, weightsOf } from "./voters.ts";

/** Rows, and what they were at the exits that they have passed; held by so many states of the caller's. */
interface Held {
  readonly hidden: unknown;
  holders: number;
}

/** The state of rows that vote: at the depth reached, and at each exit passed on the way there. */
interface VotingRows {
  readonly top: Held;
  /** By exit, null where it was not passed. */
  readonly passed: readonly (Held | null)[];
}

/**
 * An executor whose output head is the vote of a model's exits and its own output head ({@link Ballot}). All else is
 * `inner`'s, its caches too, and it stays the caller's to dispose of. Rows must have come up from below every exit: the
 * output head throws for others. The exits' heads are loaded. Throws where they do not fit the model.
 */
export function votingExecutor(inner: AnyExecutor, voting: Voting): AnyExecutor {
  checkExits(voting.exits, inner.spec);
  return new VotingExecutor(inner, voting);
}

class VotingExecutor implements Executor<VotingRows> {
  readonly spec: AnyExecutor["spec"];
  readonly info: AnyExecutor["info"];
  readonly maths: AnyExecutor["maths"];
  private readonly inner: AnyExecutor;
  private readonly voting: Voting;
  private readonly exits: readonly Exit[];
  /** Of each exit, then of the output head. */
  private readonly weights: readonly number[];
  private readonly comparer: RowComparer;

  constructor(inner: AnyExecutor, voting: Voting) {
    this.inner = inner;
    this.voting = voting;
    this.exits = voting.exits.exits;
    this.weights = weightsOf(voting);
    this.spec = inner.spec;
    this.info = inner.info;
    this.maths = inner.maths;
    this.comparer = inner.maths.rowComparer();
  }

  createCache(options: Parameters<AnyExecutor["createCache"]>[0]) {
    return this.inner.createCache(options);
  }

  async embed(ids: Int32Array): Promise<VotingRows> {
    return this.begun(await this.inner.embed(ids));
  }

  async runBlocks(
    rows: VotingRows,
    from: number,
    to: number,
    spans: readonly RowSpan[],
    { logits, answers, ...options }: RunBlocksOptions = {},
  ): Promise<VotingRows> {
    let at = keep(rows);
    let depth = from;
    try {
      for (const [exit, { blocks }] of [...this.exits.entries(), topAt(to)]) {
        const stop = Math.min(blocks, to);
        if (stop <= depth) continue;
        const top = { hidden: await this.inner.runBlocks(at.top.hidden, depth, stop, spans, options), holders: 1 };
        at = this.moved(at, top, stop === blocks ? exit : null);
        depth = stop;
      }
      if (logits) await this.logits(at, logits.rows, { into: logits.into });
      if (answers) await this.answers(at, answers.rows, answers);
      return at;
    } catch (error) {
      this.release(at);
      throw error;
    }
  }

  async logits(rows: VotingRows, of?: Int32Array, options: LogitsOptions = {}): Promise<Float32Array> {
    const { head = OUTPUT_HEAD, norm = true, into } = options;
    if (head !== OUTPUT_HEAD || !norm) return this.inner.logits(rows.top.hidden, of, options);
    const own = await this.inner.logits(rows.top.hidden, of);
    const { vocabSize } = this.spec;
    const { exits, vote } = this.voting;
    const rule = VOTE_RULES[vote];
    const ballot = new Ballot({ rows: own.length / vocabSize, vocabSize, rule, comparer: this.comparer });
    const weight = this.weights[this.exits.length];
    if (weight > 0) await ballot.add({ logits: own, ids: null }, weight);
    for (const [i, exit] of this.exits.entries()) {
      if (this.weights[i] === 0) continue;
      await ballot.add({ logits: await this.exitLogits(rows.passed[i], exit, of), ids: exits.ids }, this.weights[i]);
    }
    const counted = await ballot.count();
    if (into?.length !== counted.length) return counted;
    into.set(counted);
    return into;
  }

  answers(rows: VotingRows, of: Int32Array, options: AnswersOptions): Promise<HeadAnswers> {
    if (options.head !== OUTPUT_HEAD) return this.inner.answers(rows.top.hidden, of, options);
    const into = answersFor(of.length, options.into);
    return answersByLogits(of, this.spec.vocabSize, into, (some) => this.logits(rows, some));
  }

  loadAdapter(...adapter: Parameters<AnyExecutor["loadAdapter"]>): Promise<void> {
    return this.inner.loadAdapter(...adapter);
  }

  loadHead(...head: Parameters<AnyExecutor["loadHead"]>): Promise<void> {
    return this.inner.loadHead(...head);
  }

  read({ top }: VotingRows): Promise<Float32Array> {
    return this.inner.read(top.hidden);
  }

  write(data: Float32Array, rows: number): VotingRows {
    return this.begun(this.inner.write(data, rows));
  }

  slice({ top, passed }: VotingRows, from: number, to: number): VotingRows {
    const cut = ({ hidden }: Held): Held => ({ hidden: this.inner.slice(hidden, from, to), holders: 1 });
    return { top: cut(top), passed: passed.map((at) => at && cut(at)) };
  }

  stack(parts: readonly VotingRows[]): VotingRows {
    const stacked = (held: readonly Held[]): Held => ({
      hidden: this.inner.stack(held.map(({ hidden }) => hidden)),
      holders: 1,
    });
    const atExit = (exit: number): Held | null => {
      const held = parts.flatMap(({ passed }) => passed[exit] ?? []);
      return held.length === parts.length ? stacked(held) : null;
    };
    return { top: stacked(parts.map(({ top }) => top)), passed: this.exits.map((_, exit) => atExit(exit)) };
  }

  release({ top, passed }: VotingRows): void {
    for (const held of [top, ...passed]) if (held) this.letGo(held);
  }

  async dispose(): Promise<void> {}

  private begun(hidden: unknown): VotingRows {
    return { top: { hidden, holders: 1 }, passed: this.exits.map(() => null) };
  }

  /** Rows one step on; what they were is let go, but where an exit looks at it. `exit`: the one that they are at. */
  private moved({ top: before, passed }: VotingRows, top: Held, exit: number | null): VotingRows {
    this.letGo(before);
    if (exit === null || exit >= passed.length) return { top, passed };
    top.holders++;
    return { top, passed: passed.with(exit, top) };
  }

  private exitLogits(at: Held | null, { blocks, head }: Exit, of: Int32Array | undefined): Promise<Float32Array> {
    if (!at) throw new Error(`vote: rows that did not come by the exit after ${blocks} blocks`);
    return this.inner.logits(at.hidden, of, { head });
  }

  private letGo(held: Held): void {
    held.holders--;
    if (held.holders === 0) this.inner.release(held.hidden);
  }
}

/** The end of a run, as an exit beyond the last. */
const topAt = (blocks: number): [number, Pick<Exit, "blocks">] => [Number.POSITIVE_INFINITY, { blocks }];

/** The same rows, held once more. */
function keep(rows: VotingRows): VotingRows {
  for (const held of [rows.top, ...rows.passed]) if (held) held.holders++;
  return rows;
}
