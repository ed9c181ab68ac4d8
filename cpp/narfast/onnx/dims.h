// Arithmetic on dimensions of an ONNX model. It is clamped: sizes beyond 2^40 count as unknown, so
// that hostile values cannot overflow.
#pragma once

#include <algorithm>
#include <cstdint>

#include "narfast/onnx/flatten.h"

namespace narfast::onnx {

inline constexpr std::int64_t kLargest = std::int64_t{1} << 40;

[[nodiscard]] inline std::int64_t sane(std::int64_t dim) {
  return dim >= 0 && dim <= kLargest ? dim : kUnknownDim;
}

[[nodiscard]] inline std::int64_t clamped(std::int64_t value) {
  return std::clamp(value, -kLargest, kLargest);
}

[[nodiscard]] inline std::int64_t product(std::int64_t a, std::int64_t b) {
  if (a < 0 || b < 0) return kUnknownDim;
  if (b != 0 && a > kLargest / b) return kUnknownDim;
  return a * b;
}

/// The axis counted from the front; -1 where the rank is unknown or has no such axis.
[[nodiscard]] inline int normal_axis(std::int64_t axis, int rank) {
  if (rank < 0) return -1;
  if (axis < 0) axis += rank;
  return axis >= 0 && axis < rank ? static_cast<int>(axis) : -1;
}

}  // namespace narfast::onnx
