// Where an argument of a call stands, and what is thrown where it is wrong: checks that know no JavaScript are in the
// engine, and name what they refuse as the caller knows it.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace layerwise {

/** Where a value stands in the arguments, as `pass.spans[2].count`; a chain on the stack, made into text only for a
 * message. */
struct Path {
  const char* name;
  const Path* parent = nullptr;
  /** Number of an element of an array; then `name` is not used. */
  int64_t index = -1;

  std::string text() const {
    const std::string before = parent ? parent->text() : "";
    if (index >= 0) return before + "[" + std::to_string(index) + "]";
    return before.empty() ? name : before + "." + name;
  }
};

/** Throws what JavaScript sees as a RangeError. */
[[noreturn]] inline void refuse(const Path& path, const std::string& problem) {
  throw std::invalid_argument(path.text() + ": " + problem);
}

}  // namespace layerwise
