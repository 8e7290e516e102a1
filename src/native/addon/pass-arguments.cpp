// Passes and runs of heads from their fields; the checks that know no JavaScript are in engine/pass-check.cpp.
#include <algorithm>
#include <array>

#include "../engine/pass-check.h"
#include "handle.h"
#include "pass-fields.h"

namespace layerwise {

namespace {

constexpr int64_t kMostPosition = 1 << 30;

void takeSpan(Napi::Value value, const Path& path, GivenRun<Pass>& given) {
  GivenSpan fields;
  readObject(given.reader, value, path, fields);
  const bool hasCache = !isAbsent(fields.cache);
  Span span;
  span.count = fields.count;
  span.position =
      static_cast<int32_t>(integerOf(fields.position, Path{"position", &path}, 0, hasCache ? kMostPosition : 0));
  if (hasCache) {
    const Path cachePath{"cache", &path};
    const std::shared_ptr<CacheState>& cache = Handle<CacheKind>::of(fields.cache, cachePath);
    requireOpen(*cache);
    if (cache->model != given.used.model) refuse(cachePath, "was made by another model");
    std::vector<UsedParts::Cache>& caches = given.used.caches;
    if (std::any_of(caches.begin(), caches.end(), [&](const auto& other) { return other.state == cache; })) {
      refuse(cachePath, "stands in two spans of one pass");
    }
    span.cache = cache->cache.get();
    requireRoom(path, span);
    caches.push_back({cache, span});
  }
  given.run.spans.push_back(span);
}

void takeSpans(Napi::Value value, const Path& path, GivenRun<Pass>& given) {
  const int64_t rows = given.run.rows;
  int64_t covered = 0;
  forEach(value, path, [&](Napi::Value element, const Path& at) {
    if (covered > rows) return;
    takeSpan(element, at, given);
    covered += given.run.spans.back().count;
  });
  if (covered != rows) refuse(path, "cover " + std::to_string(covered) + " rows of " + std::to_string(rows));
}

std::vector<uint8_t> flagsOf(Napi::Value value, const Path& path, size_t blocks) {
  if (isAbsent(value)) return {};
  const auto flags = elementsOf<uint8_t>(value, path, static_cast<int64_t>(blocks));
  return std::vector<uint8_t>(flags.data, flags.data + flags.length);
}

void takeAdapter(Napi::Value value, const Path& path, GivenRun<Pass>& given) {
  if (isAbsent(value)) return;
  const std::map<std::string, Adapter>& adapters = given.used.model->model.adapters;
  given.used.adapter = stringOf(value, path);
  const auto found = adapters.find(*given.used.adapter);
  if (found == adapters.end()) refuse(path, "no such adapter was set");
  given.run.adapter = &found->second;
}

/** Checks the arrays of a capture against the block, against each other and against the pass' own. */
void takeCapture(const GivenCapture& arrays, const Path& path, GivenRun<Pass>& given) {
  const Model& model = given.used.model->model;
  Pass& pass = given.run;
  const struct {
    const char* name;
    Napi::Value value;
    Role role;
    float** rows;
  } inputs[] = {{"attention", arrays.attention, Role::Q, &pass.capture.attention},
                {"output", arrays.output, Role::O, &pass.capture.output},
                {"mlp", arrays.mlp, Role::Up, &pass.capture.mlp},
                {"down", arrays.down, Role::Down, &pass.capture.down}};
  for (const auto& input : inputs) {
    if (input.value.IsEmpty()) continue;
    if (pass.to != pass.from + 1) refuse(path, "expected a pass of one block");
    const Path field{input.name, &path};
    if (!hasOwnInput(model, pass, input.role)) refuse(field, "the pass has no such input of its own");
    const int64_t cols = model.blocks[static_cast<size_t>(pass.from)].linears[input.role].matrix.cols;
    *input.rows = given.reader.take<float>(input.value, field, pass.rows * cols);
  }
}

/** Reads what every run of a head has, and gives the fields of its outputs as they are: no getter runs any more. */
template <size_t N, class Run>
std::array<Napi::Value, N> readHeadRun(Napi::Value value, const Path& path, const char* const (&outputs)[N],
                                       GivenRun<Run>& given) {
  GivenHeadRun fields;
  readObject(given.reader, value, path, fields);
  std::array<Napi::Value, N> out;
  for (size_t i = 0; i < N; i++) out[i] = value.As<Napi::Object>().Get(outputs[i]);
  requireOpen(*given.used.model);
  const Model& model = given.used.model->model;
  const auto found = model.heads.find(fields.head);
  if (found == model.heads.end()) refuse(Path{"head", &path}, "no such head was set");
  const Path rowsPath{"rows", &path};
  const auto rows = elementsFrom<int32_t>(fields.rows, rowsPath, 1);
  const auto input = given.reader.template takeFrom<const float>(fields.input, Path{"input", &path}, model.hiddenSize);
  if (static_cast<int64_t>(rows.length) > kMostPassRows) refuse(rowsPath, "are too many");
  given.used.head = fields.head;
  given.run.head = &found->second;
  given.run.norm = fields.norm;
  given.run.input = input.data;
  given.run.rows = rowsBelow(rowsPath, rows.data, rows.length, static_cast<int64_t>(input.length) / model.hiddenSize);
  return out;
}

}  // namespace

void readRun(Napi::Value value, GivenRun<Pass>& given) {
  const Model& model = given.used.model->model;
  const Path path{"pass"}, capturePath{"capture", &path}, outputPath{"output", &path};
  Pass& pass = given.run;
  GivenPass fields;
  readObject(given.reader, value, path, fields);
  pass.rows = fields.rows;
  const auto blocks = static_cast<int64_t>(model.blocks.size());
  pass.from = static_cast<int32_t>(integerOf(fields.from, Path{"from", &path}, 0, blocks));
  pass.to = static_cast<int32_t>(integerOf(fields.to, Path{"to", &path}, pass.from, blocks));
  given.used.from = pass.from;
  given.used.to = pass.to;
  takeSpans(fields.spans, Path{"spans", &path}, given);
  pass.skipAttention = flagsOf(fields.skipAttention, Path{"skipAttention", &path}, model.blocks.size());
  pass.skipMlp = flagsOf(fields.skipMlp, Path{"skipMlp", &path}, model.blocks.size());
  GivenCapture capture;
  if (!isAbsent(fields.capture)) readObject(given.reader, fields.capture, capturePath, capture);
  // Getters are JavaScript, and could have disposed of anything; from here on none runs.
  requireOpen(*given.used.model);
  for (const auto& cache : given.used.caches) requireOpen(*cache.state);
  requireLoaded(path, model, pass);
  takeAdapter(fields.adapter, Path{"adapter", &path}, given);
  const int64_t numbers = int64_t{pass.rows} * model.hiddenSize;
  pass.input = given.reader.takeFrom<const float>(fields.input, Path{"input", &path}, numbers).data;
  // May be the input itself.
  pass.output = elementsFrom<float>(fields.output, outputPath, numbers).data;
  if (pass.output != pass.input) given.reader.takeFrom<float>(fields.output, outputPath, numbers);
  takeCapture(capture, capturePath, given);
}

void readRun(Napi::Value value, GivenRun<LogitsRun>& given) {
  const Path path{"run"};
  const auto [output] = readHeadRun(value, path, {"output"}, given);
  const int64_t numbers = static_cast<int64_t>(given.run.rows.size()) * given.run.head->width();
  given.run.output = given.reader.takeFrom<float>(output, Path{"output", &path}, numbers).data;
}

void readRun(Napi::Value value, GivenRun<AnswersRun>& given) {
  const Path path{"run"};
  AnswersRun& run = given.run;
  const auto [best, entropy, maxProbability, margin] =
      readHeadRun(value, path, {"best", "entropy", "maxProbability", "margin"}, given);
  const auto rows = static_cast<int64_t>(run.rows.size());
  run.best = given.reader.takeFrom<int32_t>(best, Path{"best", &path}, rows).data;
  run.entropy = given.reader.takeFrom<float>(entropy, Path{"entropy", &path}, rows).data;
  run.maxProbability = given.reader.takeFrom<float>(maxProbability, Path{"maxProbability", &path}, rows).data;
  run.margin = given.reader.takeFrom<float>(margin, Path{"margin", &path}, rows).data;
}

}  // namespace layerwise
