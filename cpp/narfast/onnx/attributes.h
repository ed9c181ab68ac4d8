// The packed attributes of an operator, read off an ONNX node and the facts about its operands.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/onnx/flatten.h"
#include "narfast/onnx/shapes.h"

namespace narfast::onnx {

/// A size as attributes hold it: clamped to the non-negative values of int.
[[nodiscard]] inline int to_int(std::int64_t value) {
  return static_cast<int>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<int>::max()));
}

/// Whether a permutation moves channels or the batch alone.
[[nodiscard]] bool mirrors_layout(const std::vector<std::int64_t>& perm);

/// Views into the model and its facts, which must outlive it.
class AttributeReader {
 public:
  /// Whether the n-th operand of the node in question is given, and a constant.
  using IsConstant = std::function<bool(std::size_t)>;

  AttributeReader(const FlatModel& model, const ShapeInference& facts, std::int64_t opset)
      : flat_(model), facts_(facts), opset_(opset) {}

  /// The attributes of `flat`, which is `op` in the table.
  [[nodiscard]] Attributes read(const FlatNode& flat, OpId op, const IsConstant& is_constant) const;
  /// Kernel, strides, groups and channels of a convolution.
  [[nodiscard]] Attributes convolution(const FlatNode& flat, bool transposed = false) const;
  /// Kernel and strides of a pooling.
  [[nodiscard]] Attributes pooling(const FlatNode& flat) const;

 private:
  [[nodiscard]] Attributes axes(const FlatNode& flat, const std::vector<std::int64_t>& axes) const;
  [[nodiscard]] Attributes constant_operand(const FlatNode& flat, OpId op, std::size_t second,
                                            const IsConstant& is_constant) const;

  const FlatModel& flat_;
  const ShapeInference& facts_;
  std::int64_t opset_;
};

}  // namespace narfast::onnx
