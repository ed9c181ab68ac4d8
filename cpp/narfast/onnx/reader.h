// The structure of an ONNX file: nodes, attributes, shapes, and the names and sizes of its weights.
// Weight bytes are never read and external data files are never opened; raw_graph.h interprets the
// structure.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "narfast/base/errors.h"
#include "narfast/onnx/byte_source.h"

namespace narfast::onnx {

/// A file in another format than ONNX; the message names the likely format.
struct NotOnnx : CorruptFile {
  using CorruptFile::CorruptFile;
};

/// TensorProto.DataType, as far as anything here depends on it.
enum class DataType : std::int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
};

/// True for the types in which networks keep trained weights (floats of any width).
[[nodiscard]] bool is_float(DataType type);
/// True for signed and unsigned integers of any width (not bool).
[[nodiscard]] bool is_integer(DataType type);

/// Tensors of at most this many elements are decoded: axes, permutations and scalars live there.
inline constexpr std::int64_t kMaxDecoded = 64;

/// An initializer or a constant: its shape, and its values only when it is small.
struct Tensor {
  std::string_view name;
  std::vector<std::int64_t> dims;
  DataType type = DataType::kUndefined;
  bool external = false;  ///< the data lies in another file, which is not opened
  bool decoded = false;   ///< `integers` or `reals` (by type) holds every element
  std::vector<std::int64_t> integers;
  std::vector<double> reals;
  std::int64_t elements = 0;  ///< product of `dims`, at most 2^48
};

struct Graph;

/// The values of one attribute that a graph reader needs; the others are skipped.
struct Attribute {
  std::string_view name;
  std::string_view reference;  ///< name of the enclosing function's attribute, when it refers
  bool has_integer = false;
  bool has_real = false;
  std::int64_t integer = 0;
  float real = 0;
  std::string_view text;  ///< empty where it has more than 4096 bytes
  std::vector<std::int64_t> integers;
  std::vector<float> reals;
  std::vector<Tensor> tensors;  ///< `t`, `tensors`, and the values of a sparse tensor
  std::vector<Graph> graphs;    ///< `g` and `graphs`: bodies of If, Loop, Scan
};

/// One node. Names are views into the file's bytes; an empty input name is an omitted input.
struct Node {
  std::string_view type;
  std::string_view domain;  ///< empty for the default domain ("ai.onnx" reads as empty)
  std::string_view overload;
  std::string_view name;
  std::string_view scopes;  ///< torch.export's list of the modules around it, if it gives one
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<Attribute> attributes;
  std::size_t offset = 0;  ///< in the file, for messages

  [[nodiscard]] const Attribute* find(std::string_view attribute) const;
};

inline constexpr std::int64_t kUnknownDim = -1;

/// A declared value: graph input, graph output, or value_info.
struct ValueInfo {
  std::string_view name;
  DataType type = DataType::kUndefined;
  bool has_shape = false;
  std::vector<std::int64_t> dims;  ///< kUnknownDim where symbolic or absent
};

struct Graph {
  std::string_view name;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> values;
};

/// A model-local function.
struct Function {
  std::string_view name;
  std::string_view domain;
  std::string_view overload;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<Attribute> defaults;  ///< attributes with a default value
  std::vector<Node> nodes;
  std::vector<ValueInfo> values;
};

struct Model {
  std::int64_t ir_version = 0;
  std::int64_t opset = 0;  ///< of the default domain; 0 when the file imports none
  Graph graph;
  std::vector<Function> functions;
  std::shared_ptr<const ByteSource> file;  ///< keeps the viewed bytes alive; null after parse_model
};

/// Reads the structure out of `bytes`, which must outlive the result.
///
/// Cost: linear in the bytes of the structure. Bytes of weights are skipped and cost nothing. Not
/// recursive in the length of the graph; subgraphs nest at most 32 deep.
/// @throws NotOnnx when the bytes are another format.
/// @throws CorruptFile on malformed protobuf, impossible tensor sizes or non-UTF-8 names, with
///         the byte offset.
/// @throws InvalidGraph when there are more than 4,000,000 nodes.
[[nodiscard]] Model parse_model(std::span<const std::uint8_t> bytes);

/// Reads the structure of the file at `path`; every message begins with the path. The file may
/// change meanwhile; the result or error then follows from the bytes as read.
///
/// Cost: as parse_model, plus one system call for each skipped weight and for each 256 KiB of
/// structure; memory for the structure.
/// @throws FileNotReadable, CorruptFile when the file becomes shorter, and as parse_model.
[[nodiscard]] Model read_model(const std::string& path);

/// `text` cut to a printable length with non-printable bytes escaped, for messages.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace narfast::onnx
