// Turns a model with functions and control flow into one flat, topologically ordered list of ONNX
// nodes: function calls and the bodies of If, Loop, Scan and SequenceMap are inlined, names become
// numbers. The meaning of operators is not known here.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/onnx/reader.h"

namespace narfast::onnx {

/// A value by number; -1 for an omitted optional operand.
using ValueId = std::int32_t;
inline constexpr ValueId kOmitted = -1;

/// Where a value comes from.
struct FlatValue {
  enum class Origin : std::uint8_t { kNode, kInput, kInitializer, kConstant };
  Origin origin = Origin::kNode;
  std::int32_t producer = -1;           ///< index into FlatModel::nodes, for kNode
  const Tensor* initializer = nullptr;  ///< for kInitializer
  const ValueInfo* declared = nullptr;  ///< declared type and shape, if any
};

/// A node of the flat list. kAlias hands its input on; kSelect merges the branches of an If.
struct FlatNode {
  enum class Kind : std::uint8_t { kOperator, kAlias, kSelect };
  Kind kind = Kind::kOperator;
  const Node* node = nullptr;  ///< the call or If for the synthetic kinds
  std::int32_t scope = -1;     ///< index into FlatModel::scopes: where attribute references lead
  std::uint32_t first = 0;     ///< operands[first, first + inputs + outputs)
  std::uint32_t inputs = 0;
  std::uint32_t outputs = 0;
};

/// One inlined call: attribute references inside the function are looked up at the call.
struct Scope {
  const Node* call = nullptr;
  const Function* function = nullptr;
  std::int32_t parent = -1;
};

/// Views into the Model it was made from, which must outlive it.
struct FlatModel {
  std::vector<FlatNode> nodes;  ///< every operand is produced before it is read
  std::vector<ValueId> operands;
  std::vector<FlatValue> values;
  std::vector<Scope> scopes;
  std::vector<ValueId> inputs;  ///< graph inputs that are not initializers
  std::vector<ValueId> outputs;

  [[nodiscard]] std::span<const ValueId> inputs_of(const FlatNode& n) const {
    return std::span(operands).subspan(n.first, n.inputs);
  }
  [[nodiscard]] std::span<const ValueId> outputs_of(const FlatNode& n) const {
    return std::span(operands).subspan(n.first + n.inputs, n.outputs);
  }
  /// The attribute of that name, references to function attributes resolved; null when absent.
  [[nodiscard]] const Attribute* attribute(const FlatNode& n, std::string_view name) const;
};

/// Inlines and orders. Nodes may stand in any order in the file. Loop and Scan bodies are taken
/// once: carried values enter as the initial ones and leave as the body's.
///
/// Cost: linear in the size of the result, which is limited (a few nested functions can expand
/// exponentially). Recursive in the nesting of functions and subgraphs only, at most 64 deep.
/// @throws InvalidGraph on a value produced twice, a value that nothing produces, a cycle, a
///         function that calls itself, or an expansion beyond 4,000,000 nodes.
[[nodiscard]] FlatModel flatten(const Model& model);

/// "node 'conv1' (Conv) at byte 123", for messages.
[[nodiscard]] std::string describe(const Node& node);

}  // namespace narfast::onnx
