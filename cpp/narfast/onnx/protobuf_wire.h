// The protobuf wire format: a bounds-checked cursor over the fields of one message. It knows no
// schema. It reports the place of a length-delimited field, and never reads its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "narfast/base/errors.h"
#include "narfast/onnx/byte_source.h"

namespace narfast::wire {

enum class Type : std::uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

/// One field of a message. `value` holds varint, fixed64 and fixed32 payloads; of a
/// length-delimited field, `payload` and `size` say where its bytes lie in `source`.
struct Field {
  std::uint32_t number = 0;
  Type type = Type::kVarint;
  std::uint64_t value = 0;
  std::size_t offset = 0;   ///< of the tag
  std::size_t payload = 0;  ///< of the first byte after tag and length
  std::size_t size = 0;     ///< bytes of the payload
  ByteSource* source = nullptr;

  /// The payload as text, read now; valid as long as the source lives.
  [[nodiscard]] std::string_view text() const {
    const std::span<const std::uint8_t> bytes = source->view(payload, size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

/// Walks the fields of one message; offsets count from the start of the source.
class Cursor {
 public:
  /// Walks all of `source`, which must outlive the cursor and its fields.
  explicit Cursor(ByteSource& source) : source_(&source), end_(source.size()) {}

  /// Walks the message inside a length-delimited field.
  explicit Cursor(const Field& field)
      : source_(field.source), position_(field.payload), end_(field.payload + field.size) {}

  [[nodiscard]] bool done() const { return position_ == end_; }

  /// Offset of the next unread byte.
  [[nodiscard]] std::size_t offset() const { return position_; }

  /// Reads the next field, skipping over its payload.
  /// @throws CorruptFile on a length past the end, an over-long varint, or an unknown wire type.
  [[nodiscard]] Field next() {
    Field field;
    field.offset = offset();
    const std::uint64_t tag = varint();
    if ((tag >> 3) == 0 || (tag >> 3) >= (1U << 29)) {
      fail(field.offset, "field number " + std::to_string(tag >> 3) + " is not a protobuf field");
    }
    field.number = static_cast<std::uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        field.type = Type::kVarint;
        field.value = varint();
        break;
      case 1:
        field.type = Type::kFixed64;
        field.value = fixed(8);
        break;
      case 2: {
        field.type = Type::kLength;
        const std::uint64_t length = varint();
        if (length > end_ - position_) {
          fail(field.offset, "field " + std::to_string(field.number) + " claims " +
                                 std::to_string(length) + " bytes where " +
                                 std::to_string(end_ - position_) + " are left");
        }
        field.payload = position_;
        field.size = static_cast<std::size_t>(length);
        field.source = source_;
        position_ += field.size;
        break;
      }
      case 5:
        field.type = Type::kFixed32;
        field.value = fixed(4);
        break;
      default:
        fail(field.offset, "wire type " + std::to_string(tag & 7) + " is not in use");
    }
    return field;
  }

  /// Reads one bare varint (an element of a packed field).
  [[nodiscard]] std::uint64_t varint() {
    const std::size_t start = offset();
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (done()) fail(start, "the message ends inside a number");
      const std::uint8_t byte = source_->byte(position_++);
      if (shift == 63 && byte > 1) fail(start, "a number has more than 64 bits");
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail(start, "a number has more than 64 bits");
  }

  /// Reads `width` little-endian bytes (1 to 8).
  [[nodiscard]] std::uint64_t fixed(unsigned width) {
    if (end_ - position_ < width) fail(offset(), "the message ends inside a number");
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width; ++i) {
      value |= static_cast<std::uint64_t>(source_->byte(position_++)) << (8 * i);
    }
    return value;
  }

  [[noreturn]] static void fail(std::size_t offset, const std::string& what) {
    throw CorruptFile("damaged at byte " + std::to_string(offset) + ": " + what +
                      "; export or download the file again");
  }

 private:
  ByteSource* source_;
  std::size_t position_ = 0;
  std::size_t end_ = 0;
};

}  // namespace narfast::wire
