// Every row, span and flag is checked before the pass is queued; what depends on passes queued before (lengths of
// caches) is checked by Context::run.
#include "../engine/pass-check.h"
#include "handle.h"
#include "pass-fields.h"

namespace layerwise {

namespace {

constexpr int64_t kMostPosition = 1 << 30;

void takeSpan(Napi::Value value, const Path& path, const std::shared_ptr<ModelState>& model, PassParts* parts) {
  const Napi::Env env = value.Env();
  GivenSpan given;
  readObject(parts->reader, value, path, given);
  const bool hasCache = !isAbsent(given.cache);
  Span span;
  span.count = given.count;
  span.position =
      static_cast<int32_t>(integerOf(given.position, Path{"position", &path}, 0, hasCache ? kMostPosition : 0));
  if (hasCache) {
    const Path cachePath{"cache", &path};
    const std::shared_ptr<CacheState>& cache = Handle<CacheKind>::of(given.cache, cachePath);
    requireOpen(env, *cache);
    if (cache->model != model) throwRangeError(env, cachePath, "was made by another model");
    if (std::find(parts->caches.begin(), parts->caches.end(), cache) != parts->caches.end()) {
      throwRangeError(env, cachePath, "stands in two spans of one pass");
    }
    const int32_t end = span.position + span.count, most = cache->cache->maxTokens;
    if (end > most) {
      throwRangeError(env, path,
                      "positions up to " + std::to_string(end) + " do not fit a cache of " + std::to_string(most));
    }
    span.cache = cache->cache.get();
    parts->caches.push_back(cache);
  }
  parts->pass.spans.push_back(span);
}

void takeSpans(Napi::Value value, const Path& path, const std::shared_ptr<ModelState>& model, PassParts* parts) {
  const int64_t rows = parts->pass.rows;
  int64_t covered = 0;
  forEach(value, path, [&](Napi::Value element, const Path& at) {
    if (covered > rows) return;
    takeSpan(element, at, model, parts);
    covered += parts->pass.spans.back().count;
  });
  if (covered == rows) return;
  throwRangeError(value.Env(), path, "cover " + std::to_string(covered) + " rows of " + std::to_string(rows));
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

/** Checks the arrays of a capture against the block, against each other and against the pass' own. */
void takeCapture(const GivenCapture& given, const Path& path, const Model& model, PassParts* parts) {
  Pass& pass = parts->pass;
  const struct {
    const char* name;
    Napi::Value value;
    Role role;
    float** rows;
  } inputs[] = {{"attention", given.attention, Role::Q, &pass.capture.attention},
                {"output", given.output, Role::O, &pass.capture.output},
                {"mlp", given.mlp, Role::Up, &pass.capture.mlp},
                {"down", given.down, Role::Down, &pass.capture.down}};
  for (const auto& input : inputs) {
    if (input.value.IsEmpty()) continue;
    const Napi::Env env = input.value.Env();
    if (pass.to != pass.from + 1) throwRangeError(env, path, "expected a pass of one block");
    const Block& block = model.blocks[static_cast<size_t>(pass.from)];
    const bool attention = attends(model, pass, pass.from), mlp = feeds(model, pass, pass.from);
    // One norm for both parts: what the MLP takes is the attention's input.
    const bool shared = attention && block.parallel && block.mlpNorm.kind == NormKind::None;
    const bool has = input.role == Role::Up ? mlp && !shared : input.role == Role::Down ? mlp : attention;
    const Path field{input.name, &path};
    if (!has) throwRangeError(env, field, "the pass has no such input of its own");
    *input.rows =
        parts->reader.take<float>(input.value, field, int64_t{pass.rows} * block.linears[input.role].matrix.cols);
  }
}

/** Finds the head and checks its rows. */
void takeHeadRows(const GivenHeadRun& given, const Path& path, const Model& model, Reader* reader, HeadRun* run) {
  const Napi::Env env = given.rows.Env();
  const auto found = model.heads.find(given.head);
  if (found == model.heads.end()) throwRangeError(env, Path{"head", &path}, "no such head was set");
  run->head = &found->second;
  run->norm = given.norm;
  const Path rowsPath{"rows", &path};
  const auto rows = elementsFrom<int32_t>(given.rows, rowsPath, 1);
  const auto input = reader->takeFrom<const float>(given.input, Path{"input", &path}, model.hiddenSize);
  const auto available = static_cast<int64_t>(input.length) / model.hiddenSize;
  if (static_cast<int64_t>(rows.length) > kMostPassRows) throwRangeError(env, rowsPath, "are too many");
  for (size_t i = 0; i < rows.length; i++) {
    if (rows.data[i] >= 0 && rows.data[i] < available) continue;
    throwRangeError(env, Path{nullptr, &rowsPath, static_cast<int64_t>(i)},
                    "expected a row below " + std::to_string(available) + ", found " + std::to_string(rows.data[i]));
  }
  run->input = input.data;
  run->rows.assign(rows.data, rows.data + rows.length);
}

}  // namespace

PassParts passOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Napi::Env env = value.Env();
  const Model& model = state->model;
  const Path path{"pass"}, capturePath{"capture", &path}, outputPath{"output", &path};
  PassParts parts;
  Pass& pass = parts.pass;
  GivenPass given;
  readObject(parts.reader, value, path, given);
  pass.rows = given.rows;
  const auto blocks = static_cast<int64_t>(model.blocks.size());
  pass.from = static_cast<int32_t>(integerOf(given.from, Path{"from", &path}, 0, blocks));
  pass.to = static_cast<int32_t>(integerOf(given.to, Path{"to", &path}, pass.from, blocks));
  takeSpans(given.spans, Path{"spans", &path}, state, &parts);
  pass.skipAttention = flagsOf(given.skipAttention, Path{"skipAttention", &path}, model.blocks.size());
  pass.skipMlp = flagsOf(given.skipMlp, Path{"skipMlp", &path}, model.blocks.size());
  GivenCapture capture;
  if (!isAbsent(given.capture)) readObject(parts.reader, given.capture, capturePath, capture);
  // Getters are JavaScript, and could have disposed of anything; from here on none runs.
  requireOpen(env, *state);
  for (const auto& cache : parts.caches) requireOpen(env, *cache);
  requireLoaded(env, path, model, pass);
  if (!isAbsent(given.adapter)) {
    const Path adapterPath{"adapter", &path};
    parts.adapter = stringOf(given.adapter, adapterPath);
    const auto found = model.adapters.find(parts.adapter);
    if (found == model.adapters.end()) throwRangeError(env, adapterPath, "no such adapter was set");
    pass.adapter = &found->second;
  }
  const int64_t numbers = int64_t{pass.rows} * model.hiddenSize;
  pass.input = parts.reader.takeFrom<const float>(given.input, Path{"input", &path}, numbers).data;
  // May be the input itself.
  pass.output = elementsFrom<float>(given.output, outputPath, numbers).data;
  if (pass.output != pass.input) parts.reader.takeFrom<float>(given.output, outputPath, numbers);
  takeCapture(capture, capturePath, model, &parts);
  return parts;
}

HeadParts<LogitsRun> logitsOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Path path{"run"};
  HeadParts<LogitsRun> parts;
  GivenHeadRun given;
  readObject(parts.reader, value, path, given);
  const Napi::Value output = value.As<Napi::Object>().Get("output");
  // From here on no getter runs.
  requireOpen(value.Env(), *state);
  LogitsRun& run = parts.run;
  takeHeadRows(given, path, state->model, &parts.reader, &run);
  parts.head = given.head;
  const int64_t numbers = static_cast<int64_t>(run.rows.size()) * run.head->width();
  run.output = parts.reader.takeFrom<float>(output, Path{"output", &path}, numbers).data;
  return parts;
}

HeadParts<AnswersRun> answersOf(Napi::Value value, const std::shared_ptr<ModelState>& state) {
  const Path path{"run"};
  HeadParts<AnswersRun> parts;
  GivenHeadRun given;
  readObject(parts.reader, value, path, given);
  const auto object = value.As<Napi::Object>();
  const Napi::Value best = object.Get("best"), entropy = object.Get("entropy"), margin = object.Get("margin"),
                    maxProbability = object.Get("maxProbability");
  // From here on no getter runs.
  requireOpen(value.Env(), *state);
  AnswersRun& run = parts.run;
  takeHeadRows(given, path, state->model, &parts.reader, &run);
  parts.head = given.head;
  const auto rows = static_cast<int64_t>(run.rows.size());
  run.best = parts.reader.takeFrom<int32_t>(best, Path{"best", &path}, rows).data;
  run.entropy = parts.reader.takeFrom<float>(entropy, Path{"entropy", &path}, rows).data;
  run.maxProbability = parts.reader.takeFrom<float>(maxProbability, Path{"maxProbability", &path}, rows).data;
  run.margin = parts.reader.takeFrom<float>(margin, Path{"margin", &path}, rows).data;
  return parts;
}

}  // namespace layerwise
