// The matrices of a block, by what each is for.
#pragma once
#include <cstddef>
#include <cstdint>

#include "named.h"

namespace layerwise {

enum class Role : uint8_t { Q, K, V, O, Gate, Up, Down };

/** Every role in order, as ROLES of src/model/matrix-id.ts names it. */
constexpr Named<Role> kRoles[] = {{Role::Q, "attn.q"},     {Role::K, "attn.k"},      {Role::V, "attn.v"},
                                  {Role::O, "attn.o"},     {Role::Gate, "mlp.gate"}, {Role::Up, "mlp.up"},
                                  {Role::Down, "mlp.down"}};
static_assert(inOrder(kRoles));

constexpr const char* nameOf(Role role) { return kRoles[static_cast<size_t>(role)].name; }

/** One T for each role. */
template <class T>
struct ByRole {
  T& operator[](Role role) { return all[static_cast<size_t>(role)]; }
  const T& operator[](Role role) const { return all[static_cast<size_t>(role)]; }

  T all[sizeof kRoles / sizeof *kRoles] = {};
};

}  // namespace layerwise
