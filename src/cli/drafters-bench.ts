import type { DraftersResult } from "../bench/drafters/result.ts";
import { writeFileAtomic } from "../formats/files.ts";
import { type DraftersArguments, sweepOf } from "./options/drafters-options.ts";
import { type ExecutionArguments, openToRun } from "./options/execution-options.ts";
import type { Terminal } from "./terminal.ts";
import { draftersText } from "./text/drafters-text.ts";

/** What `bench --drafters` is told. */
export interface DraftersSubject extends DraftersArguments, ExecutionArguments {
  readonly promptTokens: number;
  readonly generateTokens: number;
  readonly repeats: number;
}

/** `layerwise bench MODEL --drafters`: measures, prints, and writes the files asked for. */
export async function benchDraftersOf(target: string, subject: DraftersSubject, terminal: Terminal): Promise<void> {
  const sweep = sweepOf(subject);
  if (subject.picture !== undefined) await checkPicture();
  const { benchDrafters } = await import("../bench/drafters/bench-drafters.ts");
  const { prompts: file, promptCount: count, promptTokens: maxTokens, generateTokens, repeats } = subject;
  const { onProgress, signal } = terminal;
  const model = await openToRun(target, subject, terminal);
  try {
    const prompts = { file, count, maxTokens };
    const result = await benchDrafters(model, { prompts, generateTokens, sweep, repeats, onProgress, signal });
    // Printed first: minutes of measuring are not lost to a folder that cannot be written.
    terminal.document({ drafters: result });
    terminal.print(draftersText(result, terminal.colours));
    await writeFiles(result, subject);
  } finally {
    await model.close();
  }
}

/** Before minutes of measuring: UserError PICTURE where nothing draws it. */
async function checkPicture(): Promise<void> {
  const { openPlot } = await import("../bench/line-chart.ts");
  await openPlot();
}

async function writeFiles({ rows }: DraftersResult, { csv, picture }: DraftersSubject): Promise<void> {
  if (csv !== undefined) {
    const { draftersCsv } = await import("../bench/drafters/csv.ts");
    await writeFileAtomic(csv, draftersCsv(rows));
  }
  if (picture !== undefined) {
    const { draftersPicture } = await import("../bench/drafters/picture.ts");
    await writeFileAtomic(picture, await draftersPicture(rows));
  }
}
