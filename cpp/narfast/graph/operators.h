// Ids and traits of operators, and look-ups by name and by the spelling of a frontend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "narfast/graph/graph.h"
#include "narfast/graph/operator_table.h"

namespace narfast {

enum class Frontend : std::uint8_t { kAutograd, kAten, kOnnx };

/// The operator table, in id order.
[[nodiscard]] constexpr std::span<const OperatorInfo> operator_table() { return kOperatorTable; }

/// The id of a canonical name, at compile time. A name outside the table does not compile.
[[nodiscard]] consteval OpId operator_id(std::string_view canonical_name) {
  for (std::size_t id = 0; id < kOperatorTable.size(); ++id)
    if (kOperatorTable[id].name == canonical_name) return static_cast<OpId>(id);
  throw std::logic_error("the operator table has no such name");
}

/// The same, as a literal: "conv"_op.
[[nodiscard]] consteval OpId operator""_op(const char* name, std::size_t length) {
  return operator_id({name, length});
}

/// The id of a canonical name that is known at run time alone. O(1).
[[nodiscard]] std::optional<OpId> find_operator(std::string_view canonical_name);

/// Result of a look-up: the id, and the number of leading inputs that carry data (-1: all).
struct Spelling {
  OpId op;
  int data_inputs;
};

/// The operator behind a spelling of `frontend`, if the table has it. O(1).
[[nodiscard]] std::optional<Spelling> find_spelling(Frontend frontend, std::string_view spelling);

[[nodiscard]] constexpr bool has_trait(OpId op, std::uint32_t bits) {
  return (kOperatorTable[op].traits & bits) != 0;
}

}  // namespace narfast
