// Shapes after operators with windows: convolutions, pooling, padding, and interpolation.
#include <algorithm>

#include "narfast/onnx/dims.h"
#include "narfast/onnx/shapes.h"

namespace narfast::onnx {
namespace {

constexpr std::int64_t kWidest = std::int64_t{1} << 20;  // windows, strides and dilations

/// The i-th of a list that may be missing, between 1 and kWidest.
std::int64_t at_least_one(std::span<const std::int64_t> values, std::size_t i) {
  return i < values.size() ? std::clamp(values[i], std::int64_t{1}, kWidest) : 1;
}

/// Elements that a window spans.
std::int64_t reach(std::int64_t kernel, std::int64_t dilation) {
  return dilation * (std::clamp(kernel, std::int64_t{1}, kWidest) - 1) + 1;
}

}  // namespace

ShapeInference::Window ShapeInference::window_of(const FlatNode& node) const {
  const auto named = [&](std::string_view name) {
    return list(node, name, kAttributeOnly).value_or(std::vector<std::int64_t>{});
  };
  const Attribute* auto_pad = model_.attribute(node, "auto_pad");
  return {named("strides"), named("pads"), named("dilations"),
          auto_pad != nullptr && auto_pad->text.substr(0, 4) == "SAME"};
}

std::int64_t ShapeInference::Window::padding(std::size_t i) const {
  const std::size_t axes = pads.size() / 2;
  return i < axes ? clamped(pads[i]) + clamped(pads[i + axes]) : 0;
}

Shape ShapeInference::windowed(const FlatNode& node, std::span<const std::int64_t> kernel,
                               Shape in) const {
  const auto spatial = static_cast<std::size_t>(std::max(in.rank - 2, 0));
  if (kernel.size() != spatial) return Shape::of_rank(in.rank);
  const Window window = window_of(node);
  const bool ceil = integer(node, "ceil_mode", 0) != 0;
  for (std::size_t i = 0; i < spatial; ++i) {
    const int axis = static_cast<int>(i) + 2;
    const std::int64_t size = in.dim(axis);
    if (size == kUnknownDim) continue;
    const std::int64_t stride = at_least_one(window.strides, i);
    if (window.same) {
      in.set(axis, (size + stride - 1) / stride);
      continue;
    }
    const std::int64_t room =
        size + window.padding(i) - reach(kernel[i], at_least_one(window.dilations, i));
    in.set(axis, room < 0 ? kUnknownDim : (room + (ceil ? stride - 1 : 0)) / stride + 1);
  }
  return in;
}

Shape ShapeInference::convolution(const FlatNode& node, bool transposed) const {
  const Shape& in = input(node, 0).shape;
  const std::size_t at = node.node->type == "QLinearConv" ? 3 : 1;
  const Shape& weight = input(node, at).shape;
  if (!in.known()) return weight.known() ? Shape::of_rank(weight.rank) : Shape{};
  if (in.rank < 2) return Shape::of_rank(in.rank);
  std::vector<std::int64_t> kernel =
      list(node, "kernel_shape", kAttributeOnly).value_or(std::vector<std::int64_t>{});
  if (kernel.empty()) {
    for (int i = 2; i < weight.rank; ++i) kernel.push_back(weight.dim(i));
  }
  if (transposed) {
    Shape result = transposed_window(node, kernel, in);
    result.set(1, product(weight.dim(1), sane(integer(node, "group", 1))));
    return result;
  }
  Shape result = windowed(node, kernel, in);
  result.set(1, weight.dim(0));
  return result;
}

Shape ShapeInference::transposed_window(const FlatNode& node, std::span<const std::int64_t> kernel,
                                        const Shape& in) const {
  const auto spatial = static_cast<std::size_t>(std::max(in.rank - 2, 0));
  Shape result = Shape::of_rank(in.rank);
  result.set(0, in.dim(0));
  if (kernel.size() != spatial) return result;
  const Window window = window_of(node);
  const auto asked = list(node, "output_shape", kAttributeOnly);
  const auto more = list(node, "output_padding", kAttributeOnly);
  for (std::size_t i = 0; i < spatial; ++i) {
    const int axis = static_cast<int>(i) + 2;
    const std::int64_t size = in.dim(axis);
    if (asked && asked->size() == spatial) {
      result.set(axis, (*asked)[i]);
    } else if (size != kUnknownDim && !window.same) {
      const std::int64_t added = more && i < more->size() ? clamped((*more)[i]) : 0;
      const std::int64_t last = product(size - 1, at_least_one(window.strides, i));
      if (last == kUnknownDim) continue;
      result.set(axis, last + reach(kernel[i], at_least_one(window.dilations, i)) + added -
                           window.padding(i));
    }
  }
  return result;
}

Shape ShapeInference::padded(const FlatNode& node, const Shape& in) const {
  Shape result = in;
  const auto pads = list(node, "pads", 1);
  const auto axes = integers(node, 3);
  const std::size_t count = axes ? axes->size() : static_cast<std::size_t>(std::max(in.rank, 0));
  if (!pads || pads->size() != 2 * count) return in.known() ? Shape::of_rank(in.rank) : Shape{};
  for (std::size_t i = 0; i < count; ++i) {
    const int axis = axes ? normal_axis((*axes)[i], in.rank) : static_cast<int>(i);
    if (in.dim(axis) == kUnknownDim) continue;
    result.set(axis, in.dim(axis) + clamped((*pads)[i]) + clamped((*pads)[i + count]));
  }
  return result;
}

Shape ShapeInference::resized(const FlatNode& node, const Shape& in) const {
  if (!in.known()) return {};
  Shape result = Shape::of_rank(in.rank);
  const auto rank = static_cast<std::size_t>(in.rank);
  const Attribute* policy = model_.attribute(node, "keep_aspect_ratio_policy");
  const bool odd =
      model_.attribute(node, "axes") != nullptr || (policy != nullptr && policy->text != "stretch");
  const auto sizes = integers(node, 3);
  // Upsample and the first Resize have scales second, and the very first Upsample as an attribute.
  const Tensor* scales = input(node, node.inputs == 2 ? 1 : 2).tensor;
  for (std::size_t i = 0; i < rank; ++i) {
    const int axis = static_cast<int>(i);
    if (i < 2) result.set(axis, in.dim(axis));  // batch and channels stay
    if (odd) continue;
    if (sizes && sizes->size() == rank) {
      result.set(axis, (*sizes)[i]);
    } else if (scales != nullptr && scales->decoded && scales->reals.size() == rank) {
      const double size = scales->reals[i] * static_cast<double>(in.dim(axis));
      if (in.dim(axis) == kUnknownDim || !(size >= 0 && size <= static_cast<double>(kLargest))) {
        continue;
      }
      // Scales are floats: where rounding decides, exporters and runtimes differ.
      const auto narrow = static_cast<float>(scales->reals[i]) * static_cast<float>(in.dim(axis));
      const auto rounded = static_cast<std::int64_t>(size);
      if (rounded == static_cast<std::int64_t>(narrow)) result.set(axis, rounded);
    }
  }
  return result;
}

}  // namespace narfast::onnx
