// An Einsum as the permutations and products that PyTorch computes it with, so that an exported
// network has the graph of its trace: permutations that change nothing are among them.
// `frontends/_pt2_composites.py` is the twin for torch.export.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/onnx_shapes.h"

namespace narfast::onnx {

/// One step. Values are numbered: the operands first, then the result of each step.
struct EinsumStep {
  enum class Kind : std::uint8_t { kPermute, kMatmul, kMul, kSum };
  Kind kind;
  int left;
  int right = -1;         ///< for products
  std::vector<int> axes;  ///< of a permutation, or the last ones, which are summed
  bool operator==(const EinsumStep&) const = default;
};

/// The steps of `equation`, in order; the last one gives the result (none: the operand itself).
/// Nothing when the equation does not fit the operands, or a rank is unknown. O(operands *
/// labels^2), of which there are few.
std::optional<std::vector<EinsumStep>> einsum_steps(std::string_view equation,
                                                    std::span<const Shape> operands);

}  // namespace narfast::onnx
