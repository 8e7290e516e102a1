// The engine's choices by the names that TypeScript has for them.
#pragma once
#include <string>

#include "argument-path.h"
#include "context.h"
#include "named.h"

namespace layerwise {

template <class Choice>
struct Choices;
template <>
struct Choices<CodecKind> {
  static constexpr Named<CodecKind> kTable[] = {
      {CodecKind::F32, "f32"}, {CodecKind::F16, "f16"}, {CodecKind::BF16, "bf16"},
      {CodecKind::Q2, "q2"},   {CodecKind::Q3, "q3"},   {CodecKind::Q4, "q4"},
      {CodecKind::Q5, "q5"},   {CodecKind::Q6, "q6"},   {CodecKind::Q8, "q8"}};
};
template <>
struct Choices<Activation> {
  static constexpr Named<Activation> kTable[] = {{Activation::Silu, "silu"},
                                                 {Activation::GeluErf, "gelu-erf"},
                                                 {Activation::GeluTanh, "gelu-tanh"},
                                                 {Activation::Relu, "relu"}};
};
template <>
struct Choices<KvType> {
  static constexpr Named<KvType> kTable[] = {{KvType::F32, "f32"}, {KvType::F16, "f16"}, {KvType::Q8, "q8"}};
};
template <>
struct Choices<NormKind> {
  static constexpr Named<NormKind> kTable[] = {{NormKind::Rms, "rms"}, {NormKind::Layer, "layer"}};
};
template <>
struct Choices<ActivationType> {
  static constexpr Named<ActivationType> kTable[] = {{ActivationType::Int8, "int8"}, {ActivationType::F32, "f32"}};
};

/** The choice of a name; throws std::invalid_argument that lists the names. */
template <class Choice>
Choice choiceNamed(const std::string& wanted, const Path& path) {
  std::string all;
  for (const auto& [choice, name] : Choices<Choice>::kTable) {
    if (wanted == name) return choice;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  refuse(path, "expected one of " + all + ", found '" + wanted.substr(0, 40) + "'");
}

}  // namespace layerwise
