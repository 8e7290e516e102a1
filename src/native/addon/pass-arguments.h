// A pass and a run of logits from JavaScript, checked against model, caches and arrays.
#pragma once
#include "arguments.h"
#include "engine-core.h"

namespace layerwise {

/** What a pass was made from: to mark as in use while it runs. */
struct PassParts {
  Pass pass;
  std::vector<std::shared_ptr<CacheState>> caches;
  bool hasAdapter = false;
  std::string adapter;
  Napi::Value input, output;
  /** Arrays of the capture. */
  std::vector<Napi::Value> captured;
};

PassParts passOf(Napi::Value value, const std::shared_ptr<ModelState>& model);

struct LogitsParts {
  LogitsRun run;
  std::string head;
  Napi::Value input, output;
};

LogitsParts logitsOf(Napi::Value value, const std::shared_ptr<ModelState>& model);

}  // namespace layerwise
