// Parts of a file in two buffers: whatever order they are used in, each is what the file holds while it is in use; a
// file that is cut short, an abort, and the end amid a read.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "../../../src/native/engine/block-stream.h"

namespace {

using namespace layerwise;

int broken = 0;

void expect(bool kept, const char* promise) {
  if (kept) return;
  broken++;
  std::printf("broken: %s\n", promise);
}

constexpr size_t kPartBytes = 3 * kFilePage - 100;
constexpr size_t kPartStep = 3 * kFilePage;

/** A file whose part i consists of bytes i + 1, and parts of it in so many buffers. */
class Scene {
 public:
  Scene(int parts, int buffers) {
    std::snprintf(path_, sizeof path_, "%s", "/tmp/layerwise-stream-XXXXXX");
    const int file = mkstemp(path_);
    std::vector<uint8_t> bytes;
    for (int i = 0; i < parts; i++) bytes.insert(bytes.end(), kPartStep, static_cast<uint8_t>(i + 1));
    expect(write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "the file is written");
    close(file);
    for (int i = 0; i < buffers; i++) {
      memory_.push_back(std::shared_ptr<uint8_t>(
          static_cast<uint8_t*>(std::aligned_alloc(kFilePage, kPartStep)), [](uint8_t* data) { std::free(data); }));
    }
    int error = 0;
    const auto open = UncachedFile::open(path_, &error);
    expect(open != nullptr, "the file opens");
    std::vector<StreamedPart> given;
    for (int i = 0; i < parts; i++) {
      uint8_t* const buffer = memory_[static_cast<size_t>(i % buffers)].get();
      given.push_back({path_, open, static_cast<uint64_t>(i) * kPartStep, kPartBytes, buffer});
    }
    const std::vector<std::shared_ptr<const void>> kept(memory_.begin(), memory_.end());
    stream = std::make_unique<BlockStream>(given, kept);
  }
  ~Scene() { unlink(path_); }

  void cut(int part) { expect(truncate(path_, static_cast<off_t>(part) * static_cast<off_t>(kPartStep)) == 0, "cut"); }

  /** Whether the part is all there while it is in use. */
  bool use(int part) {
    const PartInUse used(stream.get(), part, nullptr);
    const uint8_t* const data = memory_[static_cast<size_t>(part) % memory_.size()].get();
    for (size_t i = 0; i < kPartBytes; i++) {
      if (data[i] != part + 1) return false;
    }
    return used.isThere();
  }

  std::unique_ptr<BlockStream> stream;

 private:
  char path_[64];
  std::vector<std::shared_ptr<uint8_t>> memory_;
};

bool fails(Scene& scene, int part) {
  try {
    scene.use(part);
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

void checkOrders(int parts, int buffers) {
  Scene scene(parts, buffers);
  std::mt19937 random(static_cast<unsigned>(parts * 16 + buffers));
  bool good = true;
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < parts; i++) good = scene.use(i) && good;
  }
  for (int i = 0; i < 400; i++) good = scene.use(static_cast<int>(random() % static_cast<unsigned>(parts))) && good;
  // Drafts: some of the first parts again and again, then all.
  for (int i = 0; i < 100; i++) {
    const int depth = 1 + static_cast<int>(random() % static_cast<unsigned>(parts));
    for (int k = 0; k < 4; k++) {
      for (int part = 0; part < depth; part++) good = scene.use(part) && good;
    }
    for (int part = depth; part < parts; part++) good = scene.use(part) && good;
  }
  expect(good, "a part is what the file holds, whatever was used before");
}

void checkFailures() {
  Scene scene(6, 2);
  expect(scene.use(0), "the first part is there");
  scene.cut(3);
  expect(fails(scene, 4), "a part that is gone fails");
  expect(fails(scene, 4), "and so does the next call");
  expect(scene.stream->failure().error == 0, "a short file is no error of the system");
  expect(scene.stream->failure().foundBytes <= 3 * kPartStep, "it says how far the file goes");
  for (int round = 0; round < 20; round++) {
    expect(scene.use(round % 3), "parts before the cut are there after a failure");
    expect(fails(scene, 3 + round % 3), "parts behind it are not");
  }
}

void checkAbort() {
  Scene scene(4, 2);
  const std::atomic<bool> abort{true};
  for (int part = 3; part >= 0; part--) {
    const PartInUse used(scene.stream.get(), part, &abort);
  }
  expect(scene.use(2), "an aborted wait leaves the others as they were");
}

void checkEnds() {
  for (int i = 0; i < 30; i++) {
    Scene scene(5, 2);
    expect(scene.use(i % 5), "a stream that soon ends has its parts");
  }
}

}  // namespace

int checkBlockStream() {
  for (const int parts : {1, 2, 3, 7, 12}) {
    for (const int buffers : {1, 2, 3}) checkOrders(parts, buffers);
  }
  checkFailures();
  checkAbort();
  checkEnds();
  std::printf("block stream: %d promises broken\n", broken);
  return broken;
}
