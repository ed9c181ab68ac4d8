// Decomposes an einsum into permutations and products, as PyTorch computes it. A file with a whole
// einsum (ONNX, torch.export) so gets the graph of its trace, permutations without effect included.
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
  std::vector<int> axes;  ///< of a permutation, or the last axes of a sum
  bool operator==(const EinsumStep&) const = default;
};

/// The steps of `equation`, in order; the last one gives the result (none: the operand itself).
/// `shapes` holds the sizes of each operand's axes, negative where not known. Nothing when the
/// equation does not fit the operands. O(operands * labels^2).
[[nodiscard]] std::optional<std::vector<EinsumStep>> einsum_steps(
    std::string_view equation, std::span<const std::vector<std::int64_t>> shapes);

}  // namespace narfast
