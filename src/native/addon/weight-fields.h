// Weights by their fields. Shapes of single parts are checked here; that they fit each other is checked by
// engine/model-check.cpp.
#pragma once
#include "../engine/model.h"
#include "codec-fields.h"

namespace layerwise {

/** A matrix for the length of a synchronous call: any array that is aligned. */
PackedMatrix matrixOf(Napi::Value value, const Path& path);
/** One that stays: in memory of alignedBytes or mapFile, of which the reader takes a share. */
void readObject(Reader& reader, Napi::Value value, const Path& path, PackedMatrix& matrix);

/** A copy of so many floats, kept by the reader's shares. */
const float* copyOf(Reader& reader, Napi::Value value, const Path& path, int64_t length);

/** A small vector that is copied. */
template <auto kPlace>
constexpr auto copied(const char* name, int64_t (*length)(const OwnerOf<kPlace>&)) {
  using Owner = OwnerOf<kPlace>;
  return Field<Owner>{name,
                      [](Reader& reader, Napi::Value value, const Path& path, const Field<Owner>& field,
                         Owner& object) { object.*kPlace = copyOf(reader, value, path, field.length(object)); },
                      0, 0, length};
}

/** An object whose fields go to the same place as the others'. */
template <const auto& kTable, class Object>
void readGroup(Reader& reader, Napi::Value value, const Path& path, const Field<Object>&, Object& object) {
  readTable(reader, objectOf(value, path), path, kTable, object);
}

template <>
struct FieldsOf<Linear> {
  static constexpr const char* kType = "NativeLinear";
  static constexpr Field<Linear> kTable[] = {
      field<&Linear::matrix>("matrix"),
      optional(copied<&Linear::bias>("bias", [](const Linear& linear) -> int64_t { return linear.matrix.rows; })),
  };
};

/** The weight's length is the norm's size. */
void readNormWeight(Reader& reader, Napi::Value value, const Path& path, const Field<Norm>&, Norm& norm);

template <>
struct FieldsOf<Norm> {
  static constexpr const char* kType = "NativeNorm";
  static constexpr Field<Norm> kTable[] = {
      field<&Norm::kind>("kind"),
      field<&Norm::eps>("eps"),
      {"weight", readNormWeight},
      optional(copied<&Norm::bias>("bias", [](const Norm& norm) -> int64_t { return norm.size; })),
  };
};

template <>
struct FieldsOf<Rope> {
  static constexpr const char* kType = "NativeRope";
  static constexpr auto kPairs = [](const Rope& rope) -> int64_t { return rope.dims / 2; };
  static constexpr Field<Rope> kTable[] = {
      field<&Rope::dims>("dims", 2, INT32_MAX),
      field<&Rope::inverseFrequencies>("inverseFrequencies", kPairs),
      optional(field<&Rope::longInverseFrequencies>("longInverseFrequencies", kPairs)),
      field<&Rope::originalMaxPositions>("originalMaxPositions", 0, int64_t{1} << 52),
      field<&Rope::attentionFactor>("attentionFactor"),
  };
};

constexpr Field<Block> kAttentionFields[] = {
    field<&Block::attention, &Attention::heads>("heads", 1, 1 << 16),
    field<&Block::attention, &Attention::kvHeads>("kvHeads", 1, 1 << 16),
    field<&Block::attention, &Attention::headDim>("headDim", 1, 1 << 14),
    field<&Block::attention, &Attention::scale>("scale"),
    field<&Block::attention, &Attention::window>("window", 0, INT32_MAX),
    optional(field<&Block::attention, &Attention::rope>("rope")),
    optional(field<&Block::attention, &Attention::qNorm>("qNorm")),
    optional(field<&Block::attention, &Attention::kNorm>("kNorm")),
    field<&Block::linears, Role::Q>("q"),
    field<&Block::linears, Role::K>("k"),
    field<&Block::linears, Role::V>("v"),
    field<&Block::linears, Role::O>("o"),
};

constexpr Field<Block> kMlpFields[] = {
    field<&Block::mlp, &Mlp::activation>("activation"),
    optional(field<&Block::linears, Role::Gate>("gate")),
    field<&Block::linears, Role::Up>("up"),
    field<&Block::linears, Role::Down>("down"),
};

template <>
struct FieldsOf<Block> {
  static constexpr const char* kType = "NativeBlock";
  static constexpr Field<Block> kTable[] = {
      field<&Block::parallel>("parallel"),
      optional(field<&Block::part>("part", 0, INT32_MAX)),
      optional(field<&Block::residualFactor>("residualFactor")),
      optional(field<&Block::attentionNorm>("attentionNorm")),
      optional(field<&Block::attentionPostNorm>("attentionPostNorm")),
      optional(field<&Block::mlpNorm>("mlpNorm")),
      optional(field<&Block::mlpPostNorm>("mlpPostNorm")),
      optional(Field<Block>{"attention", readGroup<kAttentionFields, Block>}),
      optional(Field<Block>{"mlp", readGroup<kMlpFields, Block>}),
  };
  static void check(const Path&, Block& block) {
    block.hasAttention = block.linears[Role::Q].matrix.present();
    block.hasMlp = block.linears[Role::Up].matrix.present();
    block.mlp.gated = block.linears[Role::Gate].matrix.present();
    block.loaded = true;
  }
};

template <>
struct FieldsOf<HeadAdapter> {
  static constexpr const char* kType = "NativeHeadAdapter";
  static constexpr Field<HeadAdapter> kTable[] = {field<&HeadAdapter::down>("down"), field<&HeadAdapter::up>("up")};
};

template <>
struct FieldsOf<Head> {
  static constexpr const char* kType = "NativeHead";
  static constexpr Field<Head> kTable[] = {
      optional(field<&Head::norm>("norm")),
      field<&Head::linear>("linear"),
      optional(field<&Head::adapter>("adapter")),
      optional(field<&Head::tail>("tail")),
      optional(field<&Head::part>("part", 0, INT32_MAX)),
  };
};

template <>
struct FieldsOf<LowRank> {
  static constexpr const char* kType = "NativeLowRank";
  static constexpr Field<LowRank> kTable[] = {field<&LowRank::a>("a"), field<&LowRank::b>("b"),
                                              field<&LowRank::factor>("factor")};
};

}  // namespace layerwise
