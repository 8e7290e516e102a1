import path from "node:path";
import type { OpenModel } from "../../decoding/open-model.ts";
import { nullOn } from "../../errors.ts";
import type { Overlap } from "../../evaluation/overlap.ts";
import { formatCount, formatNumber } from "../text/number-text.ts";

/** Text shared with what calibrated the model. */
export interface OverlapReport extends Overlap {
  /** Files of the calibration text. */
  readonly calibration: readonly string[];
}

/** What of an open model says how it was calibrated. */
type CalibratedModel = Pick<OpenModel, "kind" | "folder" | "tokenizer">;

/**
 * Looks for the evaluation's texts in the model's calibration text: the files given or, for the artifact of a run
 * folder, the very tokens that its `calibration.json` holds. Null where neither is known.
 */
export async function checkOverlap({
  model,
  files,
  texts,
}: {
  readonly model: CalibratedModel;
  readonly files: readonly string[] | undefined;
  readonly texts: readonly string[];
}): Promise<OverlapReport | null> {
  const { findOverlap } = await import("../../evaluation/overlap.ts");
  const calibration = files ? await textsOf(files, model) : await runFolderTexts(model);
  return calibration && { calibration: calibration.files, ...findOverlap(texts, calibration.texts) };
}

/** The warning, one line. */
export function overlapText({ shared, runs, words, example, calibration }: OverlapReport): string {
  const share = formatNumber((100 * shared) / runs);
  return (
    `warning: ${formatCount(shared)} of ${formatCount(runs)} runs of ${words} words of the evaluation (${share} %) are in the calibration text ` +
    `(${calibration.join(", ")}), such as "${example}": the figures flatter the model`
  );
}

interface CalibrationTexts {
  readonly files: readonly string[];
  readonly texts: readonly string[];
}

async function textsOf(files: readonly string[], { tokenizer }: CalibratedModel): Promise<CalibrationTexts> {
  const { readSourceText } = await import("../../calibration/documents.ts");
  const { applyChatTemplate } = await import("../../model/chat-template.ts");
  const texts: string[] = [];
  for (const file of files) {
    const { documents } = await readSourceText(file, (messages) => applyChatTemplate(tokenizer, messages));
    texts.push(...documents);
  }
  return { files, texts };
}

/** The calibration step of the run folder that the artifact lies in. */
async function runFolderTexts({ kind, folder, tokenizer }: CalibratedModel): Promise<CalibrationTexts | null> {
  if (kind !== "artifact") return null;
  const { peek } = await import("../../pipeline/run-folder.ts");
  const { calibrationStep } = await import("../../pipeline/steps/calibration.ts");
  // A run folder of another version may hold another form, which is no reason not to evaluate.
  const found = await nullOn("BAD_FIELD", () => peek(path.join(folder, ".."), calibrationStep));
  if (!found) return null;
  const texts = found.sequences.map((ids) => tokenizer.decode(ids, { skipSpecial: true }));
  return { files: found.sources.map((source) => source.path), texts };
}
