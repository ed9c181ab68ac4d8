// Writes ONNX models byte by byte, for tests and fuzz seeds, malformed models included.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace narfast::onnx::bytes {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
  return out;
}

inline std::string number(std::uint32_t field, std::uint64_t value) {
  return varint(std::uint64_t{field} << 3) + varint(value);
}

inline std::string message(std::uint32_t field, std::string_view payload) {
  return varint((std::uint64_t{field} << 3) | 2) + varint(payload.size()) + std::string(payload);
}

inline std::string ints(std::string_view name, std::initializer_list<std::uint64_t> values) {
  std::string payload = message(1, name);
  for (const std::uint64_t value : values) payload += number(8, value);
  return message(5, payload);
}

/// AttributeProto (field 5 of a node) holding a subgraph.
inline std::string subgraph(std::string_view name, std::string_view graph) {
  return message(5, message(1, name) + message(6, graph));
}

using Names = std::initializer_list<std::string_view>;

/// NodeProto with its tag (field 1 of a graph); `extra` is appended, attributes for instance.
inline std::string node(std::string_view type, Names inputs, Names outputs,
                        std::string_view extra = {}, std::uint32_t field = 1) {
  std::string payload;
  for (const std::string_view name : inputs) payload += message(1, name);
  for (const std::string_view name : outputs) payload += message(2, name);
  return message(field, payload + message(4, type) + std::string(extra));
}

/// ValueInfoProto (11: input, 12: output) of a float tensor.
inline std::string value(std::uint32_t field, std::string_view name,
                         std::initializer_list<std::uint64_t> dims, std::uint64_t type = 1) {
  std::string shape;
  for (const std::uint64_t dim : dims) shape += message(1, number(1, dim));
  const std::string tensor = number(1, type) + message(2, shape);
  return message(field, message(1, name) + message(2, message(1, tensor)));
}

/// TensorProto without its tag.
inline std::string tensor(std::string_view name, std::initializer_list<std::uint64_t> dims,
                          std::uint64_t type, std::string_view raw) {
  std::string payload;
  for (const std::uint64_t dim : dims) payload += number(1, dim);
  payload += number(2, type) + message(8, name);
  return raw.empty() ? payload : payload + message(9, raw);
}

inline std::string model(std::string_view graph, std::string_view extra = {}) {
  return number(1, 8) + message(8, number(2, 17)) + message(7, graph) + std::string(extra);
}

}  // namespace narfast::onnx::bytes
