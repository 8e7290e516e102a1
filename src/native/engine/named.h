// Choices of the engine with the names that TypeScript has for them: each stands beside its value, so that no list must
// match another.
#pragma once
#include <cstddef>

namespace layerwise {

template <class Choice>
struct Named {
  Choice value;
  const char* name;
};

/** Whether a table has its values from 0 in order: then it can be looked up by value. */
template <class Choice, size_t N>
constexpr bool inOrder(const Named<Choice> (&table)[N]) {
  for (size_t i = 0; i < N; i++) {
    if (static_cast<size_t>(table[i].value) != i) return false;
  }
  return true;
}

}  // namespace layerwise
