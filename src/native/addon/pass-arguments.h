// A pass, and a head's run, from JavaScript, checked against model, caches and arrays.
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

/** A run of a head, what it is called, and the arrays that are read and written until it is over. */
template <class Run>
struct HeadParts {
  Run run;
  std::string head;
  std::vector<Napi::Value> arrays;
};

HeadParts<LogitsRun> logitsOf(Napi::Value value, const std::shared_ptr<ModelState>& model);
HeadParts<AnswersRun> answersOf(Napi::Value value, const std::shared_ptr<ModelState>& model);

}  // namespace layerwise
