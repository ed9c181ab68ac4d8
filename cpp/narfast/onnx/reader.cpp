// Fills the structs of reader.h from protobuf fields; field numbers are those of onnx.proto.
#include "narfast/onnx/reader.h"

#include <algorithm>

#include "narfast/onnx/fields.h"

namespace narfast::onnx {
namespace {

using wire::Cursor;
using wire::Field;
using wire::Type;

constexpr std::size_t kMaxFileNodes = 4'000'000;
constexpr int kMaxNesting = 32;
constexpr std::size_t kMaxAttributes = 1000;  // they are searched one after the other
constexpr std::size_t kLongestText = 4096;    // bytes of a text with meaning for the structure

std::int64_t parse_dimension(const Field& message) {
  std::int64_t dim = kUnknownDim;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number == 1) dim = integer_of(field);
  }
  // Some writers put -1 or 0 for "any".
  return dim > 0 ? dim : kUnknownDim;
}

void parse_shape(const Field& message, ValueInfo& value) {
  value.has_shape = true;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number != 1) continue;
    expect(field, Type::kLength);
    value.dims.push_back(parse_dimension(field));
    if (value.dims.size() > kMaxRank) {
      Cursor::fail(field.offset,
                   "a value has more than " + std::to_string(kMaxRank) + " dimensions");
    }
  }
}

/// TypeProto; sequences and optionals leave the shape unknown.
void parse_type(const Field& message, ValueInfo& value) {
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number != 1 && field.number != 8) continue;
    expect(field, Type::kLength);
    Cursor tensor(field);
    while (!tensor.done()) {
      const Field part = tensor.next();
      if (part.number == 1) value.type = static_cast<DataType>(integer_of(part));
      if (part.number == 2) {
        expect(part, Type::kLength);
        parse_shape(part, value);
      }
    }
  }
}

ValueInfo parse_value(const Field& message) {
  ValueInfo value;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number == 1) value.name = name_of(field);
    if (field.number == 2) {
      expect(field, Type::kLength);
      parse_type(field, value);
    }
  }
  return value;
}

/// The scopes of a node, if `message` is the pair of key and text that holds them.
std::string_view scopes_of(const Field& message) {
  expect(message, Type::kLength);
  bool wanted = false;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.type != Type::kLength || field.size > kLongestText) continue;
    if (field.number == 1) wanted = field.text() == "pkg.torch.onnx.name_scopes";
    if (field.number == 2 && wanted) return field.text();
  }
  return {};
}

/// The parse of one file: what must be counted over all graphs and nesting levels.
class Parser {
 public:
  Model model(ByteSource& source);

 private:
  void graph(const Field& message, Graph& graph, int depth);
  Node node(const Field& message, int depth);
  Attribute attribute(const Field& message, int depth);
  Function function(const Field& message);
  void opset(const Field& message, Model& model);

  std::size_t nodes_ = 0;
};

template <typename Value, typename Convert>
void append_numbers(std::vector<Value>& values, const Field& field, unsigned width,
                    Convert convert) {
  if (field.type != Type::kLength) {
    expect(field, width == 0 ? Type::kVarint : Type::kFixed32);
    values.push_back(convert(field.value));
    return;
  }
  Cursor cursor(field);
  while (!cursor.done()) values.push_back(convert(width == 0 ? cursor.varint() : cursor.fixed(4)));
}

void check_attributes(std::size_t count, std::size_t offset) {
  if (count > kMaxAttributes) {
    Cursor::fail(offset, "more than " + std::to_string(kMaxAttributes) + " attributes");
  }
}

Attribute Parser::attribute(const Field& message, int depth) {
  Attribute attribute;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    switch (field.number) {
      case 1:
        attribute.name = name_of(field);
        break;
      case 2:
        expect(field, Type::kFixed32);
        attribute.has_real = true;
        attribute.real = to_float(field.value);
        break;
      case 3:
        attribute.has_integer = true;
        attribute.integer = integer_of(field);
        break;
      case 4:
        // Bytes of any kind, so no UTF-8 check. Long ones are serialized data, even whole engines.
        expect(field, Type::kLength);
        if (field.size <= kLongestText) attribute.text = field.text();
        break;
      case 5:
      case 10:  // 9 is a list of texts, without meaning for the structure
        expect(field, Type::kLength);
        attribute.tensors.push_back(parse_tensor(field));
        break;
      case 6:
      case 11:
        expect(field, Type::kLength);
        if (depth >= kMaxNesting) {
          Cursor::fail(field.offset,
                       "subgraphs nest more than " + std::to_string(kMaxNesting) + " deep");
        }
        attribute.graphs.emplace_back();
        graph(field, attribute.graphs.back(), depth + 1);
        break;
      case 7:
        append_numbers(attribute.reals, field, 4, to_float);
        break;
      case 8:
        append_numbers(attribute.integers, field, 0,
                       [](std::uint64_t value) { return static_cast<std::int64_t>(value); });
        break;
      case 21:
        attribute.reference = name_of(field);
        break;
      case 22:
      case 23:
        expect(field, Type::kLength);
        attribute.tensors.push_back(parse_sparse_tensor(field));
        break;
      default:
        break;
    }
  }
  if (attribute.name.empty()) Cursor::fail(message.offset, "an attribute has no name");
  return attribute;
}

Node Parser::node(const Field& message, int depth) {
  expect(message, Type::kLength);
  if (++nodes_ > kMaxFileNodes) {
    throw InvalidGraph("more than " + std::to_string(kMaxFileNodes) +
                       " nodes; split the model or export it without unrolling loops");
  }
  Node node;
  node.offset = message.offset;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    switch (field.number) {
      case 1:
        node.inputs.push_back(name_of(field));
        break;
      case 2:
        node.outputs.push_back(name_of(field));
        break;
      case 3:
        node.name = name_of(field);
        break;
      case 4:
        node.type = name_of(field);
        break;
      case 5:
        expect(field, Type::kLength);
        node.attributes.push_back(attribute(field, depth));
        check_attributes(node.attributes.size(), field.offset);
        break;
      case 7:
        node.domain = name_of(field);
        if (node.domain == "ai.onnx") node.domain = {};
        break;
      case 8:
        node.overload = name_of(field);
        break;
      case 9:
        if (node.scopes.empty()) node.scopes = scopes_of(field);
        break;
      default:
        break;
    }
  }
  if (node.type.empty()) Cursor::fail(message.offset, "a node has no op_type");
  return node;
}

void Parser::graph(const Field& message, Graph& graph, int depth) {
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    switch (field.number) {
      case 1:
        graph.nodes.push_back(node(field, depth));
        break;
      case 2:
        graph.name = name_of(field);
        break;
      case 5:
      case 15: {
        expect(field, Type::kLength);
        Tensor tensor = field.number == 5 ? parse_tensor(field) : parse_sparse_tensor(field);
        if (tensor.name.empty()) Cursor::fail(field.offset, "an initializer has no name");
        graph.initializers.push_back(std::move(tensor));
        break;
      }
      case 11:
      case 12:
      case 13: {
        expect(field, Type::kLength);
        ValueInfo value = parse_value(field);
        if (value.name.empty()) Cursor::fail(field.offset, "a graph input or output has no name");
        auto& list = field.number == 11   ? graph.inputs
                     : field.number == 12 ? graph.outputs
                                          : graph.values;
        list.push_back(std::move(value));
        break;
      }
      default:
        break;
    }
  }
}

Function Parser::function(const Field& message) {
  expect(message, Type::kLength);
  Function function;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    switch (field.number) {
      case 1:
        function.name = name_of(field);
        break;
      case 4:
        function.inputs.push_back(name_of(field));
        break;
      case 5:
        function.outputs.push_back(name_of(field));
        break;
      case 7:
        function.nodes.push_back(node(field, 0));
        break;
      case 10:
        function.domain = name_of(field);
        if (function.domain == "ai.onnx") function.domain = {};
        break;
      case 11:
        expect(field, Type::kLength);
        function.defaults.push_back(attribute(field, 0));
        check_attributes(function.defaults.size(), field.offset);
        break;
      case 12:
        expect(field, Type::kLength);
        function.values.push_back(parse_value(field));
        if (function.values.back().name.empty()) function.values.pop_back();
        break;
      case 13:
        function.overload = name_of(field);
        break;
      default:
        break;
    }
  }
  if (function.name.empty()) Cursor::fail(message.offset, "a function has no name");
  return function;
}

void Parser::opset(const Field& message, Model& model) {
  expect(message, Type::kLength);
  std::string_view domain;
  std::int64_t version = 0;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number == 1) domain = name_of(field);
    if (field.number == 2) version = integer_of(field);
  }
  if (domain.empty() || domain == "ai.onnx") model.opset = version;
}

/// What the first bytes look like, or empty when they are no format known here.
std::string other_format(ByteSource& source) {
  const auto bytes = source.view(0, std::min<std::size_t>(source.size(), 64));
  const std::string_view head{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  const auto starts = [&](std::string_view magic) { return head.substr(0, magic.size()) == magic; };
  if (starts("PK\x03\x04")) return "a zip archive (torch.save, .pt2, .npz or .keras)";
  if (starts("\x89PNG")) return "a PNG image";
  if (starts("\x89HDF")) return "an HDF5 file";
  if (starts("\xFF\xD8\xFF")) return "a JPEG image";
  if (starts("GGUF")) return "a GGUF file";
  if (starts("\x1F\x8B")) return "a gzip archive (decompress it first)";
  if (starts("PAR1")) return "a Parquet file";
  if (starts("\x7F"
             "ELF"))
    return "a program";
  if (starts("\x93NUMPY")) return "a NumPy array";
  if (head.size() >= 8 && (head.substr(4, 4) == "TFL3" || head.substr(4, 4) == "ORTM")) {
    return "a FlatBuffers model (TFLite or ORT)";
  }
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return "a Python pickle";
  }
  if (head.size() >= 10 && head.substr(8, 2) == "{\"") return "a safetensors file";
  const bool text = std::all_of(head.begin(), head.end(), [](char c) {
    return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\r' || c == '\t';
  });
  return text ? "text" : "";
}

[[noreturn]] void not_onnx(const std::string& why) {
  throw NotOnnx("not an ONNX file: " + why + "; give a file written by an ONNX exporter");
}

Model Parser::model(ByteSource& source) {
  if (source.size() == 0) not_onnx("it is empty");
  const std::string format = other_format(source);
  if (!format.empty() && format != "text") not_onnx("it looks like " + format);
  Model model;
  bool known = false;
  bool has_graph = false;
  Cursor cursor(source);
  while (!cursor.done()) {
    Field field;
    try {
      field = cursor.next();
    } catch (const CorruptFile&) {
      if (!format.empty()) not_onnx("it looks like " + format);
      if (!known) not_onnx("its first bytes are not a protobuf message");
      throw;
    }
    switch (field.number) {
      case 1:
        if (field.type != Type::kVarint) not_onnx("it starts with another protobuf message");
        model.ir_version = integer_of(field);
        known = true;
        break;
      case 7:
        expect(field, Type::kLength);
        graph(field, model.graph, 0);
        has_graph = known = true;
        break;
      case 8:
        opset(field, model);
        known = true;
        break;
      case 25:
        model.functions.push_back(function(field));
        break;
      default:
        break;
    }
  }
  if (!has_graph) not_onnx(format.empty() ? "it has no graph" : "it looks like " + format);
  return model;
}

}  // namespace

const Attribute* Node::find(std::string_view attribute) const {
  for (const Attribute& candidate : attributes) {
    if (candidate.name == attribute) return &candidate;
  }
  return nullptr;
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string result;
  for (const char c : text.substr(0, kLongest)) {
    if (c >= 0x20 && c < 0x7F) {
      result += c;
    } else {
      constexpr std::string_view kHex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  if (text.size() > kLongest) result += "...";
  return result;
}

Model parse_model(std::span<const std::uint8_t> bytes) {
  ByteSource source(bytes);
  return Parser().model(source);
}

Model read_model(const std::string& path) {
  auto file = std::make_shared<ByteSource>(path);
  try {
    Model model = Parser().model(*file);
    model.file = std::move(file);
    return model;
  } catch (const NotOnnx& error) {
    throw NotOnnx(path + ": " + error.what());
  } catch (const CorruptFile& error) {
    throw CorruptFile(path + ": " + error.what());
  } catch (const InvalidGraph& error) {
    throw InvalidGraph(path + ": " + error.what());
  }
}

}  // namespace narfast::onnx
