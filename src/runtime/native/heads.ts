import type { NativeContext, NativeModel } from "../../native/addon.ts";
import type { AnswersOptions, HeadAnswers } from "../head-answers.ts";
import { answersFor, checkAnswers } from "../head-answers.ts";
import type { LogitsOptions } from "../heads.ts";
import { OUTPUT_HEAD } from "../heads.ts";
import { Named } from "../named.ts";
import type { Head } from "./output-head.ts";

/**
 * The output head and the exit heads of a model. Its calls are queued in the engine at once, within a turn of the
 * caller's.
 */
export class NativeHeads {
  private readonly model: NativeModel;
  private readonly context: NativeContext;
  private readonly heads = new Named<Head>("head");

  constructor(model: NativeModel, context: NativeContext, output: Head) {
    this.model = model;
    this.context = context;
    this.heads.put(OUTPUT_HEAD, output);
  }

  /** Makes a head that the model has known under its name. */
  add(name: string, head: Head): void {
    this.heads.put(name, head);
  }

  /** Logits [rows, width of the head] of rows of `input`, in `into` where it has that length. */
  async logits(
    input: Float32Array,
    rows: Int32Array,
    { norm = true, head: name = OUTPUT_HEAD, into }: LogitsOptions = {},
  ): Promise<Float32Array> {
    const head = this.heads.get(name);
    const length = rows.length * head.width;
    const output = into?.length === length ? into : new Float32Array(length);
    await head.logits(this.context, this.model, { input, rows, head: name, norm, output });
    return output;
  }

  /** The output head's logits of rows of `input`, written to `output`. */
  async logitsInto(input: Float32Array, rows: Int32Array, output: Float32Array): Promise<void> {
    const call = { input, rows, head: OUTPUT_HEAD, norm: true, output };
    await this.heads.get(OUTPUT_HEAD).logits(this.context, this.model, call);
  }

  /** What a head says of rows of `input`. Throws where a logit is not a finite number. */
  async answers(input: Float32Array, rows: Int32Array, { head: name, into }: AnswersOptions): Promise<HeadAnswers> {
    const head = this.heads.get(name);
    const answers = answersFor(rows.length, into);
    if (rows.length === 0) return answers;
    const { best, entropy, maxProbability, margin } = answers;
    const call = { input, rows, head: name, norm: true, best, entropy, maxProbability, margin };
    // False where an abort stopped it: then nothing was written, and the pass before it says so.
    const done = await head.answers(this.context, this.model, call);
    if (done !== false) checkAnswers(answers, 0, rows.length);
    return answers;
  }
}
