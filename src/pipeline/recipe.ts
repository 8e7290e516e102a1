import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { readYamlText } from "../formats/files.ts";
import { parseYamlDocument, YamlCount, YamlName, YamlSeed } from "../formats/yaml-document.ts";
import { didYouMean } from "../near-names.ts";
import { ALLOCATOR_IDS, ALLOCATORS, allocatorOf } from "../planning/allocators/index.ts";
import { PlanSettings } from "../planning/plan-settings.ts";
import { isBlockQuantizer, matrixQuantizerOf, QUANTIZERS, RECIPE_QUANTIZER_IDS } from "../quantization/index.ts";
import { SCORER_IDS, SCORERS, scorerOptions } from "../scoring/index.ts";
import { ExitSettings } from "./exit-settings.ts";
import { isMask, MaskSettings, sparseTwins } from "./mask-settings.ts";
import { PruneSettings, prunesByPlan } from "./prune-settings.ts";
import { TuneRecipe } from "./tune-settings.ts";

/** Where the recipes that ship lie; the same from src/ and from dist/. */
const RECIPES_FOLDER = fileURLToPath(new URL("../../pipelines/", import.meta.url));

/** Long enough for the statistics of a real context, and what GPTQ and llama.cpp calibrate with. */
const DEFAULT_SEQUENCE_TOKENS = 512;

/** One calibration text: a file relative to the recipe, and how many tokens to take of it. */
const CalibrationSourceSettings = z.strictObject({ path: z.string().min(1), tokens: YamlCount });

/** Which text is run through the model, and in what pieces. */
const CalibrationSettings = z.strictObject({
  sources: z.array(CalibrationSourceSettings).min(1),
  /** null: 512, or the longest that the model was made for where that is less. */
  sequenceTokens: YamlCount.nullable().default(null),
  seed: YamlSeed.default(0),
});

/** How blocks are scored. Options are kept as they are written: a scorer's defaults are its own. */
const ScoreSettings = z
  .strictObject({
    scorer: z.enum(SCORER_IDS).default("lsaq"),
    options: z.record(z.string(), z.unknown()).default({}),
  })
  .superRefine(({ scorer, options }, context) => {
    for (const issue of scorerOptions(scorer).safeParse(options).error?.issues ?? [])
      context.addIssue({ ...issue, path: ["options", ...issue.path] });
  });

/** How numbers are chosen for a codec. */
const QuantizeSettings = z
  .strictObject({
    /**
     * `learned-rounding` refines each block of the chosen plan after gptq; scores and plans are made from gptq's
     * matrices.
     */
    quantizer: z.enum(RECIPE_QUANTIZER_IDS).default("nearest"),
    /**
     * Quantizers that look at inputs: the chosen plan is packed anew, on the inputs that its own quantized blocks
     * produce.
     */
    requantize: z.boolean().default(false),
    /** Steps of learned rounding for a block; absent: as many as docs/quantizers.md says. */
    iterations: YamlCount.optional(),
  })
  .superRefine(({ quantizer, requantize }, context) => {
    if (requantize || !isBlockQuantizer(quantizer)) return;
    const message = `expected true with ${quantizer}, which refines the chosen plan, found false`;
    context.addIssue({ code: "custom", path: ["requantize"], message });
  });

/** Whether the packed plan is compared with the best uniform plan of no more bytes before it ships. */
const GuardSettings = z.strictObject({
  /** Calibration tokens that nothing else sees; 0: no comparison. Rounded up to whole sequences. */
  tokens: YamlCount.or(z.literal(0)).default(0),
});

/** The turn that the schedule is made for, and how often each part of it is measured. */
const ScheduleSettings = z.strictObject({
  promptTokens: YamlCount.default(256),
  generateTokens: YamlCount.default(64),
  repeats: YamlCount.default(5),
});

const RecipeFields = z.strictObject({
  name: YamlName,
  description: z.string().default(""),
  calibration: CalibrationSettings,
  /** Folder of a PEFT adapter, relative to the recipe, that is merged into the checkpoint first; absent: none. */
  adapter: z.string().min(1).optional(),
  /** What is taken out of the checkpoint then, or need not be stored; absent: nothing. */
  prune: z.union([PruneSettings, MaskSettings]).optional(),
  score: ScoreSettings.prefault({}),
  plan: PlanSettings.prefault({}),
  quantize: QuantizeSettings.prefault({}),
  guard: GuardSettings.prefault({}),
  /** How the packed model is tuned to text; its adapter is part of the budget. Absent: not. */
  tune: TuneRecipe.optional(),
  /** Early exits that are trained on the packed model, and are part of its budget; absent: none. */
  exits: ExitSettings.optional(),
  /** Whether it is measured how the artifact runs fastest on this machine; absent: not. */
  schedule: ScheduleSettings.optional(),
  /** Context in tokens where the command names none; a model made for less gets its own longest. */
  context: YamlCount.default(2048),
  /** Of everything random but the choice of calibration text. */
  seed: YamlSeed.default(0),
});

type WrittenRecipe = z.infer<typeof RecipeFields>;
type MasklessRecipe = Omit<WrittenRecipe, "prune"> & { readonly prune?: PruneSettings | undefined };

/** A pruning that leaves shapes as they are is one more way to name codecs: nothing else of the pipeline knows it. */
const MasklessRecipe = RecipeFields.transform((written, context): MasklessRecipe => {
  const { prune, ...recipe } = written;
  if (!prune) return recipe;
  if (!isMask(prune)) return { ...written, prune };
  const codecs = sparseTwins(prune, recipe.plan.codecs);
  if (Array.isArray(codecs)) return { ...recipe, plan: { ...recipe.plan, codecs } };
  context.addIssue({ code: "custom", path: ["plan", "codecs", codecs.at], message: codecs.fault });
  return z.NEVER;
});

/** A compression from calibration to packing: the files of `pipelines/`. All defaults are here. */
export const Recipe = MasklessRecipe.superRefine((recipe, context) => {
  if (!prunesByPlan(recipe)) return;
  const fault = (path: string[], expected: string, found: string) => {
    const message = `expected ${expected} with prune.ratio: auto, found ${found}`;
    context.addIssue({ code: "custom", path, message });
  };
  const { allocator } = recipe.plan;
  const choosing = ALLOCATOR_IDS.filter((id) => ALLOCATORS[id].grain.name === "matrix");
  if (!choosing.includes(allocator)) fault(["plan", "allocator"], choosing.join(" or "), allocator);
  const { scorer } = recipe.score;
  const inNats = SCORER_IDS.filter((id) => SCORERS[id].inNats);
  if (!inNats.includes(scorer)) fault(["score", "scorer"], inNats.join(" or "), scorer);
});
export type Recipe = z.infer<typeof Recipe>;

/** A recipe and where it came from: its paths are relative to `folder`. */
export interface LoadedRecipe {
  readonly recipe: Recipe;
  readonly file: string;
  readonly folder: string;
}

/**
 * Reads a recipe by file (`my.yaml`) or by the name of one that ships (`lsaq`). Throws UserError `RECIPE_UNKNOWN`,
 * `YAML_SYNTAX` or `YAML_FIELD` ("file:line: path: expected …, found …"), or `FILE_*`.
 */
export async function loadRecipe(pathOrName: string): Promise<LoadedRecipe> {
  const isFile = /\.ya?ml$/i.test(pathOrName) || pathOrName.includes("/");
  const file = isFile ? pathOrName : path.join(RECIPES_FOLDER, `${pathOrName}.yaml`);
  if (!isFile && !recipeNames().includes(pathOrName)) throw unknownRecipe(pathOrName);
  const text = await readYamlText(file);
  const folder = path.dirname(file);
  const { tune, ...recipe } = parseRecipe(text, file);
  return { recipe: { ...recipe, ...(tune && { tune: atFolder(tune, folder) }) }, file, folder };
}

/** Tuning with the paths of its text from the current folder. */
function atFolder({ data, ...tune }: TuneRecipe, folder: string): TuneRecipe {
  return data ? { ...tune, data: data.map((file) => path.resolve(folder, file)) } : tune;
}

/** A recipe from its text; `file` is for messages. Throws as {@link loadRecipe}. */
export function parseRecipe(text: string, file: string): Recipe {
  return parseYamlDocument(text, file, Recipe);
}

/** Names of the recipes that ship. */
export function recipeNames(): string[] {
  const files = readdirSync(RECIPES_FOLDER).filter((file) => file.endsWith(".yaml"));
  return files.map((file) => path.basename(file, ".yaml")).sort();
}

/** The calibration files of a recipe as paths from the current folder, in order. */
export function calibrationFiles({ recipe, folder }: LoadedRecipe): { path: string; tokens: number }[] {
  return recipe.calibration.sources.map((source) => ({ ...source, path: path.resolve(folder, source.path) }));
}

/** The adapter's folder of a recipe as a path from the current folder; undefined: none. */
export function adapterFolder({ recipe, folder }: LoadedRecipe): string | undefined {
  return recipe.adapter === undefined ? undefined : path.resolve(folder, recipe.adapter);
}

/** Whether the recipe's allocator ranks anything. */
export function needsScores({ plan }: Recipe): boolean {
  return allocatorOf(plan).needsScores;
}

/** Whether the recipe's quantizer looks at what a matrix multiplies: its matrices then come from a library. */
export function usesLibrary({ quantize }: Recipe): boolean {
  return QUANTIZERS[matrixQuantizerOf(quantize.quantizer)].needs !== "nothing";
}

/** Whether anything of the recipe looks at the calibration texts before exits are trained. */
export function usesCalibration(recipe: Recipe): boolean {
  return needsScores(recipe) || usesLibrary(recipe) || recipe.prune !== undefined;
}

/** Tokens of a calibration sequence: as the recipe says, else as many as suit the model. */
export function sequenceTokensFor({ calibration }: Recipe, maxPositions: number): number {
  return calibration.sequenceTokens ?? Math.min(DEFAULT_SEQUENCE_TOKENS, maxPositions);
}

/** The context to plan for: the one asked for, else the recipe's as far as the model was made for it. */
export function contextFor(recipe: Recipe, maxPositions: number, asked?: number): number {
  return asked ?? Math.min(recipe.context, maxPositions);
}

function unknownRecipe(name: string): UserError {
  const names = recipeNames();
  return new UserError(
    "RECIPE_UNKNOWN",
    `recipe: expected one of ${names.join(", ")} or a .yaml file, found "${name}"`,
    didYouMean(name, names, "name a recipe that exists or a file"),
  );
}
