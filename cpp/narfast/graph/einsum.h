// An einsum as the permutations and products that PyTorch computes it with, so that a file that
// keeps it whole (ONNX, torch.export) has the graph of its trace: permutations that change nothing
// are among them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace narfast {

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
/// `shapes` holds the sizes of each operand's axes, negative where not known. Nothing when the
/// equation does not fit the operands. O(operands * labels^2), of which there are few.
std::optional<std::vector<EinsumStep>> einsum_steps(
    std::string_view equation, std::span<const std::vector<std::int64_t>> shapes);

}  // namespace narfast
