// Passes, and runs of heads, by their fields. Where sizes depend on the model or on other fields the values are taken
// as they are, by their getters, and looked at when none runs any more.
#pragma once
#include "../engine/live-parts.h"
#include "fields.h"

namespace layerwise {

constexpr int64_t kMostPassRows = 1 << 24;

struct GivenPass {
  int32_t rows = 0;
  Napi::Value from, to, spans, skipAttention, skipMlp, adapter, input, output, capture;
};
template <>
struct FieldsOf<GivenPass> {
  static constexpr const char* kType = "NativePass";
  static constexpr Field<GivenPass> kTable[] = {
      field<&GivenPass::rows>("rows", 1, kMostPassRows),
      field<&GivenPass::from>("from"),
      field<&GivenPass::to>("to"),
      field<&GivenPass::spans>("spans"),
      field<&GivenPass::skipAttention>("skipAttention"),
      field<&GivenPass::skipMlp>("skipMlp"),
      field<&GivenPass::adapter>("adapter"),
      field<&GivenPass::input>("input"),
      field<&GivenPass::output>("output"),
      field<&GivenPass::capture>("capture"),
  };
};

struct GivenSpan {
  int32_t count = 0;
  Napi::Value cache, position;
};
template <>
struct FieldsOf<GivenSpan> {
  static constexpr const char* kType = "NativeSpan";
  static constexpr Field<GivenSpan> kTable[] = {
      field<&GivenSpan::count>("count", 1, kMostPassRows),
      field<&GivenSpan::cache>("cache"),
      field<&GivenSpan::position>("position"),
  };
};

/** Unset where an array is not wanted. */
struct GivenCapture {
  Napi::Value attention, output, mlp, down;
};
template <>
struct FieldsOf<GivenCapture> {
  static constexpr const char* kType = "NativeCapture";
  static constexpr Field<GivenCapture> kTable[] = {
      optional(field<&GivenCapture::attention>("attention")),
      optional(field<&GivenCapture::output>("output")),
      optional(field<&GivenCapture::mlp>("mlp")),
      optional(field<&GivenCapture::down>("down")),
  };
};

/** What every run of a head has. */
struct GivenHeadRun {
  std::string head;
  bool norm = true;
  Napi::Value rows, input;
};
template <>
struct FieldsOf<GivenHeadRun> {
  static constexpr const char* kType = "NativeHeadRun";
  static constexpr Field<GivenHeadRun> kTable[] = {
      field<&GivenHeadRun::head>("head"),
      field<&GivenHeadRun::norm>("norm"),
      field<&GivenHeadRun::rows>("rows"),
      field<&GivenHeadRun::input>("input"),
  };
};

/** What a call of a context was made from: its arrays and the parts that it uses stay until it is over. */
template <class Run>
struct GivenRun {
  Run run;
  UsedParts used;
  Reader reader;
};

// Each fills in a run of the model used. Every row, span and flag is checked before the run is queued; what depends on
// runs queued before (lengths of caches) is checked by Context::run.
void readRun(Napi::Value value, GivenRun<Pass>& given);
void readRun(Napi::Value value, GivenRun<LogitsRun>& given);
void readRun(Napi::Value value, GivenRun<AnswersRun>& given);

}  // namespace layerwise
