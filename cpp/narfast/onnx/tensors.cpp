// Tensors: shape and type always, elements only of small ones.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "narfast/onnx/fields.h"

namespace narfast::onnx {
namespace {

using wire::Cursor;
using wire::Field;
using wire::Type;

constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;
constexpr std::size_t kLongestName = std::size_t{1} << 20;

bool valid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  while (p != end) {
    const unsigned lead = *p++;
    if (lead < 0x80) continue;
    int extra = 0;
    unsigned code = 0;
    unsigned smallest = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
      extra = 1, code = lead & 0x1F, smallest = 0x80;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      extra = 2, code = lead & 0x0F, smallest = 0x800;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      extra = 3, code = lead & 0x07, smallest = 0x10000;
    } else {
      return false;
    }
    if (end - p < extra) return false;
    for (; extra > 0; --extra, ++p) {
      if ((*p & 0xC0) != 0x80) return false;
      code = (code << 6) | (*p & 0x3F);
    }
    if (code < smallest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int mantissa = bits & 0x3FF;
  double value = 0;
  if (exponent == 31) {
    value = mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

/// Bytes of one element in raw_data; 0 when not decoded here (strings, sub-byte, 8-bit floats).
unsigned raw_width(DataType type) {
  switch (type) {
    case DataType::kUint8:
    case DataType::kInt8:
    case DataType::kBool:
      return 1;
    case DataType::kUint16:
    case DataType::kInt16:
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return 2;
    case DataType::kFloat:
    case DataType::kInt32:
    case DataType::kUint32:
      return 4;
    case DataType::kDouble:
    case DataType::kInt64:
    case DataType::kUint64:
      return 8;
    default:
      return 0;
  }
}

/// Appends one element given its little-endian bits (as raw_data or the int32_data rule has it).
void append_element(Tensor& tensor, std::uint64_t bits) {
  switch (tensor.type) {
    case DataType::kFloat:
      tensor.reals.push_back(to_float(bits));
      break;
    case DataType::kDouble:
      tensor.reals.push_back(std::bit_cast<double>(bits));
      break;
    case DataType::kFloat16:
      tensor.reals.push_back(half_to_double(static_cast<std::uint16_t>(bits)));
      break;
    case DataType::kBfloat16:
      tensor.reals.push_back(to_float((bits & 0xFFFF) << 16));
      break;
    case DataType::kInt8:
      tensor.integers.push_back(static_cast<std::int8_t>(bits));
      break;
    case DataType::kInt16:
      tensor.integers.push_back(static_cast<std::int16_t>(bits));
      break;
    case DataType::kInt32:
      tensor.integers.push_back(static_cast<std::int32_t>(bits));
      break;
    default:
      tensor.integers.push_back(static_cast<std::int64_t>(bits));
      break;
  }
}

void append_unless_many(std::vector<Field>& fields, const Field& field) {
  // One field per element is legal (not packed), so the count is bounded, not the weight bytes.
  if (fields.size() <= static_cast<std::size_t>(kMaxDecoded)) fields.push_back(field);
}

void decode_raw(Tensor& tensor, const Field& raw) {
  const unsigned width = raw_width(tensor.type);
  if (width == 0) return;
  const auto needed = static_cast<std::uint64_t>(tensor.elements) * width;
  if (raw.size != needed) {
    Cursor::fail(raw.offset, "tensor \"" + printable(tensor.name) + "\" has " +
                                 std::to_string(raw.size) + " bytes of data, its shape needs " +
                                 std::to_string(needed));
  }
  if (tensor.elements > kMaxDecoded) return;
  Cursor cursor(raw);
  while (!cursor.done()) append_element(tensor, cursor.fixed(width));
  tensor.decoded = true;
}

void decode_typed(Tensor& tensor, const std::vector<Field>& fields) {
  if (tensor.elements > kMaxDecoded || raw_width(tensor.type) == 0) return;
  std::int64_t count = 0;
  for (const Field& field : fields) {
    if (field.type != Type::kLength) {
      append_element(tensor, field.value);
      ++count;
      continue;
    }
    Cursor cursor(field);
    while (!cursor.done() && count <= tensor.elements) {
      // 4: float_data, 10: double_data; 5, 7, 11: varints.
      const std::uint64_t bits = field.number == 4    ? cursor.fixed(4)
                                 : field.number == 10 ? cursor.fixed(8)
                                                      : cursor.varint();
      append_element(tensor, bits);
      ++count;
    }
  }
  if (count != tensor.elements) {
    const std::size_t offset = fields.empty() ? 0 : fields.front().offset;
    Cursor::fail(offset, "tensor \"" + printable(tensor.name) + "\" has " +
                             (count > tensor.elements ? "more" : "fewer") +
                             " elements than its shape, " + std::to_string(tensor.elements));
  }
  tensor.decoded = true;
}

void append_dims(std::vector<std::int64_t>& dims, const Field& field) {
  if (field.type == Type::kVarint) {
    dims.push_back(integer_of(field));
  } else {
    expect(field, Type::kLength);
    Cursor packed(field);
    while (!packed.done() && dims.size() <= kMaxRank) {
      dims.push_back(static_cast<std::int64_t>(packed.varint()));
    }
  }
  if (dims.size() > kMaxRank) {
    Cursor::fail(field.offset,
                 "a tensor has more than " + std::to_string(kMaxRank) + " dimensions");
  }
}

void count_elements(Tensor& tensor, std::size_t offset) {
  tensor.elements = 1;
  bool empty = false;
  for (const std::int64_t dim : tensor.dims) {
    if (dim < 0) {
      Cursor::fail(offset, "tensor \"" + printable(tensor.name) + "\" has the negative dimension " +
                               std::to_string(dim));
    }
    empty = empty || dim == 0;
    if (dim > 0 && tensor.elements > kMaxElements / dim) {
      Cursor::fail(offset,
                   "tensor \"" + printable(tensor.name) + "\" claims more than 2^48 elements");
    }
    tensor.elements *= std::max<std::int64_t>(dim, 1);
  }
  if (empty) tensor.elements = 0;
}

}  // namespace

void expect(const Field& field, Type type) {
  if (field.type != type) {
    Cursor::fail(field.offset, "field " + std::to_string(field.number) + " has wire type " +
                                   std::to_string(static_cast<int>(field.type)) + ", expected " +
                                   std::to_string(static_cast<int>(type)));
  }
}

std::string_view name_of(const Field& field) {
  expect(field, Type::kLength);
  if (field.size > kLongestName) {
    Cursor::fail(field.offset, "a name has " + std::to_string(field.size) + " bytes");
  }
  const std::string_view text = field.text();
  if (!valid_utf8(text)) {
    Cursor::fail(field.offset, "the name \"" + printable(text) + "\" is not UTF-8");
  }
  return text;
}

std::int64_t integer_of(const Field& field) {
  expect(field, Type::kVarint);
  return static_cast<std::int64_t>(field.value);
}

float to_float(std::uint64_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

Tensor parse_tensor(const Field& message) {
  Tensor tensor;
  Field raw;
  bool has_raw = false;
  std::vector<Field> typed;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    switch (field.number) {
      case 1:
        append_dims(tensor.dims, field);
        break;
      case 2:
        tensor.type = static_cast<DataType>(integer_of(field));
        break;
      case 4:
      case 5:
      case 7:
      case 10:
      case 11:
        append_unless_many(typed, field);
        break;
      case 8:
        tensor.name = name_of(field);
        break;
      case 9:
        expect(field, Type::kLength);
        raw = field;
        has_raw = true;
        break;
      case 13:
        tensor.external = true;
        break;
      case 14:
        if (integer_of(field) == 1) tensor.external = true;
        break;
      default:
        break;
    }
  }
  count_elements(tensor, message.offset);
  // No data at all is accepted: a model without its weights has none.
  if (!tensor.external && has_raw && !(raw.size == 0 && !typed.empty())) {
    decode_raw(tensor, raw);
  } else if (!tensor.external && !typed.empty()) {
    decode_typed(tensor, typed);
  }
  return tensor;
}

Tensor parse_sparse_tensor(const Field& message) {
  Tensor tensor;
  std::vector<std::int64_t> dims;
  Cursor cursor(message);
  while (!cursor.done()) {
    const Field field = cursor.next();
    if (field.number == 1) {
      expect(field, Type::kLength);
      tensor = parse_tensor(field);
    } else if (field.number == 3) {
      append_dims(dims, field);
    }
  }
  tensor.dims = std::move(dims);
  tensor.decoded = false;
  tensor.integers.clear();
  tensor.reals.clear();
  count_elements(tensor, message.offset);
  return tensor;
}

bool is_float(DataType type) {
  switch (static_cast<int>(type)) {
    case 1:   // float
    case 10:  // float16
    case 11:  // double
    case 14:  // complex64
    case 15:  // complex128
    case 16:  // bfloat16
    case 17:  // float8 variants
    case 18:
    case 19:
    case 20:
    case 23:  // float4
    case 27:  // float6 variants
    case 28:
      return true;
    default:
      return false;
  }
}

bool is_integer(DataType type) {
  const int code = static_cast<int>(type);
  return (code >= 2 && code <= 7) || code == 12 || code == 13 || code == 21 || code == 22 ||
         code == 25 || code == 26;
}

}  // namespace narfast::onnx
