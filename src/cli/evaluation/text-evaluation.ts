import { createHash } from "node:crypto";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { EvaluationTimings } from "../../evaluation/evaluate.ts";
import type { EvaluationResult } from "../../evaluation/evaluation-result.ts";
import type { NoiseReference } from "../../evaluation/noise-floor.ts";
import type { ReferenceRequest, ReferenceStates } from "../../evaluation/reference-states.ts";
import { assertUnchanged } from "../../formats/file-mark.ts";
import { isFile, readFileBytes } from "../../formats/files.ts";
import { plainTextOf } from "../../formats/text-file.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { EvaluationArguments } from "../options/evaluation-options.ts";
import { openOptions } from "../options/execution-options.ts";
import type { Terminal } from "../terminal.ts";

/** The largest text that is read whole and encoded: thousands of windows. */
export const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** A model measured on a text. */
export interface TextEvaluation {
  readonly path: string;
  readonly result: EvaluationResult;
  readonly timings: EvaluationTimings;
  readonly referenceFolder: string | null;
  /** The text of all windows. */
  readonly evaluatedText: string;
}

interface TextWork {
  readonly args: EvaluationArguments;
  readonly beginning: readonly number[];
  readonly terminal: Terminal;
}

/** Perplexity of a model on a text file and, with a reference, divergence from it. */
export async function evaluateTextOn(
  model: OpenModel,
  textFile: string,
  { args, beginning, terminal: { signal, onProgress } }: TextWork,
): Promise<TextEvaluation> {
  const bytes = await readFileBytes(textFile, MAX_TEXT_BYTES);
  const { evaluate } = await import("../../evaluation/evaluate.ts");
  const { cutWindows } = await import("../../evaluation/windows.ts");
  const text = plainTextOf(bytes, textFile);
  const ids = model.tokenizer.encode(text, { specialTokens: false });
  const windows = cutWindows(ids, {
    windowTokens: args.window,
    maxWindowTokens: model.executor.spec.maxPositions,
    strideTokens: args.stride,
    maxWindows: args.windows,
    scored: args.score,
    beginning,
    label: textFile,
    textSha256: createHash("sha256").update(bytes).digest("hex"),
  });
  const reference = args.reference === undefined ? null : await openReference(args.reference, args);
  try {
    const file = args.referenceStates;
    const referenceStates =
      reference && file !== undefined ? await reference.states(file, { windows, signal, onProgress }) : undefined;
    let timings: EvaluationTimings | null = null;
    const result = await evaluate({
      executor: model.executor,
      kvType: model.kvType,
      reference: reference?.executor,
      noiseReference: reference?.noise?.executor,
      referenceStates,
      ...{ windows, signal, onProgress },
      onTimings: (told) => {
        timings = told;
      },
    }).finally(() => referenceStates?.close());
    await reference?.assertReference();
    if (!timings) throw new Error("evaluate told no timings");
    const last = (windows.windows.length - 1) * windows.strideTokens + windows.windowTokens;
    const evaluatedText = last < ids.length ? model.tokenizer.decode(ids.subarray(0, last)) : text;
    return { path: textFile, result, timings, referenceFolder: reference?.folder ?? null, evaluatedText };
  } finally {
    await reference?.close();
  }
}

/** The original checkpoint, opened; of one whose states are saved only the output head. */
interface OpenReference {
  readonly executor: AnyExecutor;
  readonly folder: string;
  readonly noise: NoiseReference | null;
  /** The states in a file; those that it lacks are computed and written. */
  states(file: string, work: StatesWork): Promise<ReferenceStates>;
  /** Throws UserError `SOURCE_CHANGED` where its weights changed since they were opened. */
  assertReference(): Promise<void>;
  close(): Promise<void>;
}

type StatesWork = Pick<ReferenceRequest, "windows" | "signal" | "onProgress">;

async function openReference(target: string, args: EvaluationArguments): Promise<OpenReference> {
  const { findModel } = await import("../../decoding/find-model.ts");
  const { openNoiseReference } = await import("../../evaluation/noise-floor.ts");
  const { headOnly, savedReferenceStates } = await import("../../evaluation/reference-states.ts");
  const { openCheckpoint } = await import("../../model/checkpoint.ts");
  const { sourceContents } = await import("../../artifact/source-contents.ts");
  const { createExecutor } = await import("../../runtime/create-executor.ts");
  const { folder } = await findModel(target);
  const isSaved = args.referenceStates !== undefined && (await isFile(args.referenceStates));
  const { executor: kind, isa, backend, threads } = args;
  const residency = (args.resident ?? true) ? "resident" : "streamed";
  const checkpoint = await openCheckpoint(folder);
  const source = isSaved ? headOnly(checkpoint) : checkpoint;
  const how = { executor: kind, isa, backend, threads, residency, activations: "f32" } as const;
  const executor = await createExecutor(source, how).catch(async (error: unknown) => {
    await checkpoint.close();
    throw error;
  });
  const assertReference = () => assertUnchanged(checkpoint.files);
  const noise = args.noiseFloor ? await openNoiseReference(folder, await openOptions(args)) : null;
  return {
    executor,
    folder,
    noise,
    async states(file, work) {
      const { id: referenceId } = await sourceContents(checkpoint, work.signal);
      return savedReferenceStates(file, { ...work, reference: executor, referenceId, assertReference });
    },
    assertReference,
    async close() {
      await executor.dispose();
      await checkpoint.close();
      await noise?.close();
    },
  };
}
