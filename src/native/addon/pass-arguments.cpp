// Every row, span and flag is checked before the pass is queued; what depends on passes queued before (lengths of
// caches) is checked by Context::run.
#include "pass-arguments.h"

#include <array>

#include "../engine/pass-check.h"
#include "model-object.h"

namespace layerwise {

namespace {

constexpr int64_t kMaxRows = 1 << 24;
constexpr int64_t kMaxPosition = 1 << 30;

Span spanOf(Napi::Value value, const Path& path, const std::shared_ptr<ModelState>& model, PassParts* parts) {
  const Napi::Env env = value.Env();
  const Napi::Object object = objectOf(value, path);
  Span span;
  span.count = static_cast<int32_t>(integerField(object, path, "count", 1, kMaxRows));
  const Napi::Value cacheValue = object.Get("cache");
  const bool hasCache = !isAbsent(cacheValue);
  span.position = static_cast<int32_t>(integerField(object, path, "position", 0, hasCache ? kMaxPosition : 0));
  if (!hasCache) return span;
  const Path cachePath{"cache", &path};
  const std::shared_ptr<CacheState>& cache = CacheObject::of(cacheValue, cachePath).state();
  requireOpen(env, *cache);
  if (cache->model != model) throwRangeError(env, cachePath, "was made by another model");
  if (std::find(parts->caches.begin(), parts->caches.end(), cache) != parts->caches.end()) {
    throwRangeError(env, cachePath, "stands in two spans of one pass");
  }
  if (span.position + span.count > cache->cache->maxTokens) {
    throwRangeError(env, path,
                    "positions up to " + std::to_string(span.position + span.count) + " do not fit a cache of " +
                        std::to_string(cache->cache->maxTokens));
  }
  span.cache = cache->cache.get();
  parts->caches.push_back(cache);
  return span;
}

std::vector<uint8_t> flagsOf(Napi::Value value, const Path& path, size_t blocks) {
  if (isAbsent(value)) return {};
  const auto flags = elementsOf<uint8_t>(value, path, static_cast<int64_t>(blocks));
  return std::vector<uint8_t>(flags.data, flags.data + flags.length);
}

void requireLoaded(Napi::Env env, const Path& path, const Model& model, const Pass& pass) {
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (model.blocks[static_cast<size_t>(i)].loaded) continue;
    throwRangeError(env, path, "block " + std::to_string(i) + " has no weights: call setBlock first");
  }
}

/** An input of a block's products: its name, its columns (0: the block has none, or skips it), where its rows go. */
struct CapturedInput {
  const char* name;
  int32_t cols;
  float** rows;
};

/** The inputs that a pass of one block can give. */
std::array<CapturedInput, 4> capturedInputs(const Model& model, Pass& pass) {
  const Block& block = model.blocks[static_cast<size_t>(pass.from)];
  const bool attention = attends(model, pass, pass.from), mlp = feeds(model, pass, pass.from);
  const bool shared = attention && block.parallel && block.mlpNorm.kind == NormKind::None;
  return {{{"attention", attention ? block.linears[Role::Q].matrix.cols : 0, &pass.capture.attention},
           {"output", attention ? block.linears[Role::O].matrix.cols : 0, &pass.capture.output},
           {"mlp", mlp && !shared ? block.linears[Role::Up].matrix.cols : 0, &pass.capture.mlp},
           {"down", mlp ? block.linears[Role::Down].matrix.cols : 0, &pass.capture.down}}};
}

using CaptureValues = std::array<Napi::Value, 4>;

/** The arrays of a capture, by getters; all absent where there is none. */
CaptureValues captureValuesOf(Napi::Value value, const Path& path) {
  CaptureValues values;
  if (isAbsent(value)) return values;
  const Napi::Object object = objectOf(value, path);
  const char* const names[] = {"attention", "output", "mlp", "down"};
  for (size_t i = 0; i < values.size(); i++) {
    const Napi::Value field = object.Get(names[i]);
    if (!isAbsent(field)) values[i] = field;
  }
  return values;
}

/** Checks the arrays of a capture against the block, against each other and against the pass' own. */
void takeCapture(const CaptureValues& values, const Path& path, const Model& model, PassParts* parts,
                 const Elements<float>& input, const Elements<float>& output) {
  std::vector<Elements<float>> others = {input, output};
  for (size_t i = 0; i < values.size(); i++) {
    if (values[i].IsEmpty()) continue;
    const Napi::Env env = values[i].Env();
    if (parts->pass.to != parts->pass.from + 1) throwRangeError(env, path, "expected a pass of one block");
    const CapturedInput wanted = capturedInputs(model, parts->pass)[i];
    const Path field{wanted.name, &path};
    if (wanted.cols == 0) throwRangeError(env, field, "the pass has no such input of its own");
    const auto rows = elementsOf<float>(values[i], field, static_cast<int64_t>(parts->pass.rows) * wanted.cols);
    for (const Elements<float>& other : others) refuseOverlap(env, field, rows, other, false);
    others.push_back(rows);
    *wanted.rows = rows.data;
    parts->captured.push_back(values[i]);
  }
}

/** What all runs of a head have, by getters. */
struct HeadValues {
  Napi::Value rows, input;
};

template <class Run>
HeadValues headValuesOf(const Napi::Object& object, const Path& path, HeadParts<Run>* parts) {
  parts->head = stringField(object, path, "head");
  parts->run.norm = booleanField(object, path, "norm");
  return {object.Get("rows"), object.Get("input")};
}

/** Finds the head and checks its rows; returns the elements of the input. */
Elements<float> takeHeadRows(const HeadValues& values, const Path& path, const Model& model, const std::string& name,
                             HeadRun* run) {
  const Napi::Env env = values.rows.Env();
  const auto found = model.heads.find(name);
  if (found == model.heads.end()) throwRangeError(env, Path{"head", &path}, "no such head was set");
  run->head = &found->second;
  const Path rowsPath{"rows", &path};
  const auto rows = elementsFrom<int32_t>(values.rows, rowsPath, 1);
  const auto input = elementsFrom<float>(values.input, Path{"input", &path}, model.hiddenSize);
  const auto available = static_cast<int64_t>(input.length) / model.hiddenSize;
  if (static_cast<int64_t>(rows.length) > kMaxRows) throwRangeError(env, rowsPath, "are too many");
  for (size_t i = 0; i < rows.length; i++) {
    if (rows.data[i] >= 0 && rows.data[i] < available) continue;
    throwRangeError(env, Path{nullptr, &rowsPath, static_cast<int64_t>(i)},
                    "expected a row below " + std::to_string(available) + ", found " + std::to_string(rows.data[i]));
  }
  run->input = input.data;
  run->rows.assign(rows.data, rows.data + rows.length);
  return input;
}

}  // namespace

PassParts passOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Napi::Env env = value.Env();
  const Model& model = state->model;
  const Path path{"pass"};
  const Napi::Object object = objectOf(value, path);
  PassParts parts;
  Pass& pass = parts.pass;
  pass.rows = static_cast<int32_t>(integerField(object, path, "rows", 1, kMaxRows));
  const auto blocks = static_cast<int64_t>(model.blocks.size());
  pass.from = static_cast<int32_t>(integerField(object, path, "from", 0, blocks));
  pass.to = static_cast<int32_t>(integerField(object, path, "to", pass.from, blocks));

  const Path spansPath{"spans", &path};
  const Napi::Value spansValue = object.Get("spans");
  if (!spansValue.IsArray()) throwTypeError(env, spansPath, "expected an array");
  const auto spans = spansValue.As<Napi::Array>();
  int64_t covered = 0;
  for (uint32_t i = 0; i < spans.Length() && covered <= pass.rows; i++) {
    pass.spans.push_back(spanOf(spans.Get(i), Path{nullptr, &spansPath, i}, state, &parts));
    covered += pass.spans.back().count;
  }
  if (covered != pass.rows) {
    throwRangeError(env, spansPath, "cover " + std::to_string(covered) + " rows of " + std::to_string(pass.rows));
  }

  pass.skipAttention = flagsOf(object.Get("skipAttention"), Path{"skipAttention", &path}, model.blocks.size());
  pass.skipMlp = flagsOf(object.Get("skipMlp"), Path{"skipMlp", &path}, model.blocks.size());
  const Napi::Value adapterValue = object.Get("adapter");
  const Napi::Value inputValue = object.Get("input"), outputValue = object.Get("output");
  const Path capturePath{"capture", &path};
  const CaptureValues capture = captureValuesOf(object.Get("capture"), capturePath);
  // Getters are JavaScript, and could have disposed of anything; from here on none runs.
  requireOpen(env, *state);
  for (const auto& cache : parts.caches) requireOpen(env, *cache);
  requireLoaded(env, path, model, pass);
  if (!isAbsent(adapterValue)) {
    parts.adapter = stringOf(adapterValue, Path{"adapter", &path});
    const auto found = model.adapters.find(parts.adapter);
    if (found == model.adapters.end()) throwRangeError(env, Path{"adapter", &path}, "no such adapter was set");
    pass.adapter = &found->second;
    parts.hasAdapter = true;
  }
  const int64_t numbers = static_cast<int64_t>(pass.rows) * model.hiddenSize;
  const auto input = elementsFrom<float>(inputValue, Path{"input", &path}, numbers);
  const auto output = elementsFrom<float>(outputValue, Path{"output", &path}, numbers);
  refuseOverlap(env, Path{"output", &path}, input, output, true);
  pass.input = input.data;
  pass.output = output.data;
  parts.input = inputValue;
  parts.output = outputValue;
  takeCapture(capture, capturePath, model, &parts, input, output);
  return parts;
}

HeadParts<LogitsRun> logitsOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Napi::Env env = value.Env();
  const Path path{"run"};
  const Napi::Object object = objectOf(value, path);
  HeadParts<LogitsRun> parts;
  const HeadValues values = headValuesOf(object, path, &parts);
  const Napi::Value outputValue = object.Get("output");
  // From here on no getter runs.
  requireOpen(env, *state);
  LogitsRun& run = parts.run;
  const Elements<float> input = takeHeadRows(values, path, state->model, parts.head, &run);
  const int64_t numbers = static_cast<int64_t>(run.rows.size()) * run.head->width();
  const auto output = elementsFrom<float>(outputValue, Path{"output", &path}, numbers);
  refuseOverlap(env, Path{"output", &path}, input, output, false);
  run.output = output.data;
  parts.arrays = {values.input, outputValue};
  return parts;
}

HeadParts<AnswersRun> answersOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Napi::Env env = value.Env();
  const Path path{"run"};
  const Napi::Object object = objectOf(value, path);
  HeadParts<AnswersRun> parts;
  const HeadValues values = headValuesOf(object, path, &parts);
  const Napi::Value bestValue = object.Get("best");
  AnswersRun& run = parts.run;
  struct Numbers {
    const char* name;
    float** place;
    Napi::Value value;
  };
  Numbers numbers[] = {{"entropy", &run.entropy, {}}, {"maxProbability", &run.maxProbability, {}}, {"margin", &run.margin, {}}};
  for (Numbers& one : numbers) one.value = object.Get(one.name);
  // From here on no getter runs.
  requireOpen(env, *state);
  std::vector<Elements<float>> others = {takeHeadRows(values, path, state->model, parts.head, &run)};
  const auto rows = static_cast<int64_t>(run.rows.size());
  const auto best = elementsFrom<int32_t>(bestValue, Path{"best", &path}, rows);
  refuseOverlap(env, Path{"best", &path}, best, others[0], false);
  run.best = best.data;
  parts.arrays = {values.input, bestValue};
  for (const Numbers& one : numbers) {
    const Path field{one.name, &path};
    const auto found = elementsFrom<float>(one.value, field, rows);
    refuseOverlap(env, field, found, best, false);
    for (const Elements<float>& other : others) refuseOverlap(env, field, found, other, false);
    others.push_back(found);
    *one.place = found.data;
    parts.arrays.push_back(one.value);
  }
  return parts;
}

}  // namespace layerwise
