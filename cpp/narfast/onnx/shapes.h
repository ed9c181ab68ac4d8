// Shapes and small constants of a flat ONNX model: enough inference to tell axes apart, and weights
// from data. Not a checker: a shape beyond inference is unknown, never an error.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/onnx/flatten.h"

namespace narfast::onnx {

/// Rank and dimensions; kUnknownDim where not known, and beyond the sixth axis.
struct Shape {
  static constexpr int kStored = 6;
  int rank = -1;  ///< -1: unknown
  std::array<std::int64_t, kStored> dims{};

  [[nodiscard]] bool known() const { return rank >= 0; }
  [[nodiscard]] std::int64_t dim(int axis) const {
    return axis >= 0 && axis < rank && axis < kStored ? dims[static_cast<std::size_t>(axis)]
                                                      : kUnknownDim;
  }
  void set(int axis, std::int64_t value);
  /// All dimensions unknown.
  [[nodiscard]] static Shape of_rank(int rank);
  [[nodiscard]] static Shape of(std::span<const std::int64_t> dims);
  /// Number of elements, or -1 when any dimension is unknown or the product absurd.
  [[nodiscard]] std::int64_t elements() const;
  bool operator==(const Shape&) const = default;
};

/// For `ShapeInference::list`: no input takes the attribute's place.
inline constexpr std::size_t kAttributeOnly = std::numeric_limits<std::size_t>::max();

/// Static facts about a value.
struct ValueFacts {
  Shape shape;
  DataType type = DataType::kUndefined;
  const Tensor* tensor = nullptr;  ///< its (small or weight) tensor, when it is a constant
};

/// Walks a flat model in order and collects facts. Views into the model, which must outlive it.
class ShapeInference {
 public:
  ShapeInference(const FlatModel& model, std::int64_t opset);

  /// Facts about the outputs of `node`, whose inputs have been visited. O(operands).
  void visit(const FlatNode& node);

  [[nodiscard]] const ValueFacts& fact(ValueId id) const {
    return id == kOmitted ? nothing_ : facts_[static_cast<std::size_t>(id)];
  }
  /// Facts of the n-th input of `node`; unknown when omitted.
  [[nodiscard]] const ValueFacts& input(const FlatNode& node, std::size_t n) const;

  /// Decoded integers of the n-th input, if it is a small constant.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(const FlatNode& node,
                                                                  std::size_t n) const;
  /// An integer list given as attribute `name` or, in later opsets, as the n-th input.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> list(const FlatNode& node,
                                                              std::string_view name,
                                                              std::size_t n) const;
  [[nodiscard]] std::int64_t integer(const FlatNode& node, std::string_view name,
                                     std::int64_t fallback) const;
  /// The only element of the n-th input, if it is a decoded one-element constant.
  [[nodiscard]] std::optional<double> scalar(const FlatNode& node, std::size_t n) const;

  /// Axes of a reduction, sorted and non-negative where the rank is known; empty when unknown.
  [[nodiscard]] std::vector<std::int64_t> reduced_axes(const FlatNode& node) const;

 private:
  [[nodiscard]] Shape infer(const FlatNode& node, std::size_t output) const;
  /// How a window moves, by spatial axis; lists that the model leaves out are empty.
  struct Window {
    std::vector<std::int64_t> strides, pads, dilations;
    bool same;  ///< padded so that only strides make the map smaller

    [[nodiscard]] std::int64_t padding(std::size_t i) const;
  };
  [[nodiscard]] Window window_of(const FlatNode& node) const;
  [[nodiscard]] Shape windowed(const FlatNode& node, std::span<const std::int64_t> kernel,
                               Shape in) const;
  [[nodiscard]] Shape convolution(const FlatNode& node, bool transposed) const;
  [[nodiscard]] Shape transposed_window(const FlatNode& node, std::span<const std::int64_t> kernel,
                                        const Shape& in) const;
  [[nodiscard]] Shape padded(const FlatNode& node, const Shape& in) const;
  [[nodiscard]] Shape resized(const FlatNode& node, const Shape& in) const;
  [[nodiscard]] Shape reshape(const FlatNode& node) const;
  [[nodiscard]] Shape slice(const FlatNode& node) const;
  [[nodiscard]] Shape reduce(const FlatNode& node, const std::vector<std::int64_t>& axes) const;
  [[nodiscard]] const Tensor* evaluate(const FlatNode& node);
  [[nodiscard]] const Tensor* keep(Tensor tensor);

  const FlatModel& model_;
  std::int64_t opset_;
  ValueFacts nothing_;
  std::vector<ValueFacts> facts_;
  std::deque<Tensor> made_;  ///< constants evaluated here; a deque keeps addresses
};

}  // namespace narfast::onnx
