// Weights from JavaScript as the engine's plain structures. Matrices are used where they lie, small vectors are copied.
#include "weight-fields.h"

#include "../engine/kept-blocks.h"

namespace layerwise {

namespace {

/** A packed matrix as it is given; codec forms stand beside these fields. */
struct GivenMatrix {
  int32_t rows = 0, cols = 0;
};

/** Far beyond any model; byte offsets within a tile stay within 32 bits. */
constexpr int64_t kMostMatrixCols = 1 << 22;
constexpr Field<GivenMatrix> kMatrixFields[] = {
    field<&GivenMatrix::rows>("rows", 1, INT32_MAX),
    field<&GivenMatrix::cols>("cols", 1, kMostMatrixCols),
};

/** A matrix and the bytes that it lies in. */
PackedMatrix place(Napi::Value value, const Path& path, Elements<uint8_t>* bytes) {
  const Napi::Object object = objectOf(value, path);
  const Path bytesPath{"bytes", &path};
  Reader reader;
  CodecForm form{};
  readObject(reader, object, path, form);
  GivenMatrix given;
  readTable(reader, object, path, kMatrixFields, given);
  *bytes = elementsOf<uint8_t>(object.Get("bytes"), bytesPath);
  return matrixIn(bytesPath, form, given.rows, given.cols, bytes->data, static_cast<int64_t>(bytes->length));
}

}  // namespace

PackedMatrix matrixOf(Napi::Value value, const Path& path) {
  Elements<uint8_t> bytes;
  return place(value, path, &bytes);
}

void readObject(Reader& reader, Napi::Value value, const Path& path, PackedMatrix& matrix) {
  Elements<uint8_t> bytes;
  matrix = place(value, path, &bytes);
  auto block = blockOf(bytes.data, bytes.length);
  if (!block) {
    // Held by address: an ordinary ArrayBuffer could be transferred away, and is aligned by chance only.
    refuse(Path{"bytes", &path}, "expected memory from alignedBytes(), mapFile() or readFile()");
  }
  reader.shares.push_back(std::move(block));
}

const float* copyOf(Reader& reader, Napi::Value value, const Path& path, int64_t length) {
  const auto found = elementsOf<float>(value, path, length);
  auto own = std::make_shared<std::vector<float>>(found.data, found.data + found.length);
  const float* const data = own->data();
  reader.shares.push_back(std::move(own));
  return data;
}

void readNormWeight(Reader& reader, Napi::Value value, const Path& path, const Field<Norm>&, Norm& norm) {
  const size_t length = elementsFrom<float>(value, path, 1).length;
  if (length > static_cast<size_t>(INT32_MAX)) refuse(path, "is too long");
  norm.size = static_cast<int32_t>(length);
  norm.weight = copyOf(reader, value, path, norm.size);
}

}  // namespace layerwise
