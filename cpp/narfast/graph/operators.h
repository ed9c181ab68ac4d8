// The one operator table: canonical names, what kind of operator each is, and how every frontend
// spells it. Adding an operator is one line at the END of the table in operators.cpp: an id is a
// position, and ids are stored in zoos.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "narfast/graph/graph.h"

namespace narfast {

enum class Category : std::uint8_t {
  kSource,       // network inputs, embeddings of token ids
  kConvolution,  // convolutions of every rank
  kLinear,       // dense projections and products of matrices
  kAttention,
  kNormalization,
  kActivation,   // one input, element by element, with a bend
  kElementwise,  // arithmetic, element by element
  kReduction,
  kPooling,
  kLayout,    // moves data without computing
  kIndexing,  // picks or places data
  kRecurrent,
  kSpatial,  // resizing, sampling, regions
  kOther,
};
std::string_view category_name(Category category);

/// Bits of OperatorInfo::traits.
namespace trait {
inline constexpr std::uint32_t kTransparent = 1;  // dropped: no part of the design
inline constexpr std::uint32_t kCommutative = 2;  // argument order carries no meaning
inline constexpr std::uint32_t kWeights = 4;      // has learnt weights
inline constexpr std::uint32_t kSource = 8;       // where data enters the network
inline constexpr std::uint32_t kUnary = 16;       // element by element on one input
}  // namespace trait

/// One line of the table. Spellings are separated by blanks; an ONNX spelling may end in ":n", the
/// number of leading inputs that carry data (the rest are shapes, axes, bounds, weights).
struct OperatorInfo {
  std::string_view name;
  Category category;
  std::uint32_t traits;
  std::string_view autograd;  // without "Backward0"
  std::string_view aten;      // without namespace and overload
  std::string_view onnx;
};

enum class Frontend : std::uint8_t { kAutograd, kAten, kOnnx };

/// The table, in id order.
std::span<const OperatorInfo> operator_table();

/// Result of a look-up: the id, and how many leading inputs carry data (-1: all of them).
struct Spelling {
  OpId op;
  int data_inputs;
};

/// The operator that `frontend` spells so, if it is in the table. O(1).
std::optional<Spelling> find_spelling(Frontend frontend, std::string_view spelling);

/// The operator of a canonical name. O(1). Throws std::out_of_range for a name not in the table.
OpId operator_id(std::string_view canonical_name);

inline bool has_trait(OpId op, std::uint32_t bits) {
  return (operator_table()[op].traits & bits) != 0;
}

}  // namespace narfast
