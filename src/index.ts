/** The device entry point: opens an artifact or a checkpoint and decodes. Reaches no offline stage. */
export type { Confidence, ExitLevel, ExitRecord, ExitReport, ExitTable } from "./artifact/exits/table.ts";
export type { Plan } from "./artifact/plan.ts";
export { openArtifact } from "./artifact/reader.ts";
export { verifyArtifact } from "./artifact/verify.ts";
export {
  Conversation,
  type RenderConversation,
  type RenderedConversation,
  type TurnOptions,
} from "./decoding/chat.ts";
export { chooseDecode, type DecodeRequest } from "./decoding/choose-decode.ts";
export { DECODE_KINDS, type DecodeKind, type DecodeOptions } from "./decoding/drafters/index.ts";
export { type Exit, type ExitSet, type ExitThresholds, exitSetOf } from "./decoding/exits/exit-set.ts";
export { type LoadedExits, loadExits, readExits } from "./decoding/exits/load.ts";
export { type FoundModel, findModel } from "./decoding/find-model.ts";
export {
  type GeneratedPiece,
  type GenerateOptions,
  type Generation,
  generate,
  type StopReason,
} from "./decoding/generate.ts";
export { type OpenModel, openModel } from "./decoding/open-model.ts";
export type { OpenModelOptions } from "./decoding/open-weights.ts";
export { createSampler, GREEDY, type Sampler, type SamplerOptions } from "./decoding/sampler.ts";
export { Session, type SessionOptions } from "./decoding/session.ts";
export type { DecodingStatistics, TokensAtDepth } from "./decoding/speculative/decoder.ts";
export { createStopMatcher, type StopMatcher } from "./decoding/stop.ts";
export { Interrupted, UserError } from "./errors.ts";
export { applyChatTemplate, type ChatMessage } from "./model/chat-template.ts";
export { openCheckpoint } from "./model/checkpoint.ts";
export type { DecoderSpec } from "./model/decoder-spec.ts";
export type { KvType } from "./model/kv-type.ts";
export type { LowRankPart } from "./model/low-rank.ts";
export { loadTokenizer, type Tokenizer } from "./model/tokenizer.ts";
export { type TurnEnd, turnEndOf } from "./model/turn-end.ts";
export type { WeightSource } from "./model/weight-source.ts";
export type { OnProgress, Progress, WorkOptions } from "./progress.ts";
export { chooseExecutor, createExecutor, type ExecutorOptions } from "./runtime/create-executor.ts";
export type { AnyExecutor, Executor } from "./runtime/executor.ts";
export type { ActivationType, ExecutorInfo, Residency } from "./runtime/executor-info.ts";
export type { AnswersOptions, HeadAnswers } from "./runtime/head-answers.ts";
export type { ExitAdapter, ExitHead, ExitTail } from "./runtime/heads.ts";
export type { KvCache, RowSpan } from "./runtime/kv-cache.ts";
export { TOOL_VERSION } from "./version.ts";
