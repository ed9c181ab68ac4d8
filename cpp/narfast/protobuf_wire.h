// The protobuf wire format: a bounds-checked cursor over the fields of one message. It knows
// nothing of any schema; a length-delimited field is handed out as a span and never looked into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "narfast/errors.h"

namespace narfast::wire {

using Bytes = std::span<const std::uint8_t>;

enum class Type : std::uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

/// One field of a message. `value` holds varint, fixed64 and fixed32 payloads; `bytes` the
/// payload of a length-delimited field.
struct Field {
  std::uint32_t number = 0;
  Type type = Type::kVarint;
  std::uint64_t value = 0;
  Bytes bytes;
  std::size_t offset = 0;   ///< of the tag, from the start of the file
  std::size_t payload = 0;  ///< of `bytes`, from the start of the file
};

/// Walks the fields of one message; offsets in errors count from the start of the file.
class Cursor {
 public:
  /// `origin` is the offset of `message` in the file.
  explicit Cursor(Bytes message, std::size_t origin = 0) : message_(message), origin_(origin) {}

  /// Walks the message inside a length-delimited field.
  explicit Cursor(const Field& field) : Cursor(field.bytes, field.payload) {}

  [[nodiscard]] bool done() const { return position_ == message_.size(); }

  /// File offset of the next unread byte.
  [[nodiscard]] std::size_t offset() const { return origin_ + position_; }

  /// Reads the next field, skipping over its payload.
  /// @throws CorruptFile on a length past the end, an over-long varint, or an unknown wire type.
  Field next() {
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
        if (length > message_.size() - position_) {
          fail(field.offset, "field " + std::to_string(field.number) + " claims " +
                                 std::to_string(length) + " bytes where " +
                                 std::to_string(message_.size() - position_) + " are left");
        }
        field.payload = offset();
        field.bytes = message_.subspan(position_, static_cast<std::size_t>(length));
        position_ += static_cast<std::size_t>(length);
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
  std::uint64_t varint() {
    const std::size_t start = offset();
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (done()) fail(start, "the message ends inside a number");
      const std::uint8_t byte = message_[position_++];
      if (shift == 63 && byte > 1) fail(start, "a number has more than 64 bits");
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail(start, "a number has more than 64 bits");
  }

  /// Reads `width` little-endian bytes (1 to 8).
  std::uint64_t fixed(unsigned width) {
    if (message_.size() - position_ < width) fail(offset(), "the message ends inside a number");
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width; ++i) {
      value |= static_cast<std::uint64_t>(message_[position_++]) << (8 * i);
    }
    return value;
  }

  [[noreturn]] static void fail(std::size_t offset, const std::string& what) {
    throw CorruptFile("damaged at byte " + std::to_string(offset) + ": " + what +
                      "; export or download the file again");
  }

 private:
  Bytes message_;
  std::size_t origin_ = 0;
  std::size_t position_ = 0;
};

}  // namespace narfast::wire
