// The streamed parts of a model: each file is opened once, and stays open as long as the model.
#include "stream-fields.h"

#include <cstring>
#include <map>

#include "../engine/kept-blocks.h"
#include "memory.h"

namespace layerwise {

namespace {

using Files = std::map<std::string, std::shared_ptr<UncachedFile>>;

std::shared_ptr<UncachedFile> openOnce(Napi::Env env, const std::string& path, Files& files) {
  const auto known = files.find(path);
  if (known != files.end()) return known->second;
  int error = 0;
  auto file = UncachedFile::open(path, &error);
  if (!file) throwFileError(env, path, error, std::string("cannot be read: ") + std::strerror(error));
  return files.emplace(path, std::move(file)).first->second;
}

StreamedPart partOf(Reader& reader, Napi::Value value, const Path& path, Files& files) {
  GivenPart given;
  readObject(reader, value, path, given);
  StreamedPart part;
  part.path = filePathOf(given.file, Path{"file", &path});
  part.offset = pageOffsetOf(given.offset, Path{"offset", &path});
  part.bytes = static_cast<size_t>(given.bytes);
  const Path bufferPath{"buffer", &path};
  const auto buffer = elementsOf<uint8_t>(given.buffer, bufferPath);
  const size_t room = roundedToPages(part.bytes);
  if (buffer.length < room) refuse(bufferPath, "expected " + std::to_string(room) + " bytes at least");
  auto block = blockOf(buffer.data, buffer.length);
  if (!block || reinterpret_cast<uintptr_t>(buffer.data) % kFilePage != 0) {
    refuse(bufferPath, "expected memory from alignedBytes(), from a multiple of 4096");
  }
  part.buffer = buffer.data;
  part.file = openOnce(value.Env(), part.path, files);
  reader.shares.push_back(std::move(block));
  return part;
}

}  // namespace

void setStream(const Napi::CallbackInfo& info, const std::shared_ptr<ModelState>& state) {
  Reader reader;
  Files files;
  std::vector<StreamedPart> parts;
  forEach(info[0], Path{"parts"}, [&](Napi::Value element, const Path& at) {
    parts.push_back(partOf(reader, element, at, files));
  });
  requireOpen(*state);
  state->setStream(std::move(parts), std::move(reader.shares));
}

Napi::Value streamState(const Napi::CallbackInfo& info, const std::shared_ptr<ModelState>& state) {
  const Napi::Env env = info.Env();
  if (!state->model.stream) return env.Null();
  const StreamCounts counts = state->model.stream->counts();
  const StreamFailure failure = state->model.stream->failure();
  Napi::Object out = Napi::Object::New(env);
  out.Set("readBytes", static_cast<double>(counts.bytes));
  out.Set("waitedMs", counts.waitedMs);
  out.Set("failure", env.Null());
  if (failure.path.empty()) return out;
  Napi::Object why = Napi::Object::New(env);
  why.Set("file", failure.path);
  why.Set("code", errorName(failure.error));
  why.Set("expectedBytes", static_cast<double>(failure.expectedBytes));
  why.Set("foundBytes", static_cast<double>(failure.foundBytes));
  out.Set("failure", why);
  return out;
}

}  // namespace layerwise
