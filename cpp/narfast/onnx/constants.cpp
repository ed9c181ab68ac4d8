// Evaluates small constants: integer arithmetic around shapes, as exporters leave it, and the
// scalars of attention scales. Constants beyond kMaxDecoded elements stay as they are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "narfast/onnx/shapes.h"

namespace narfast::onnx {
namespace {

/// Far beyond any real model; bounds the memory for a hostile model.
constexpr std::size_t kMaxEvaluated = 500'000;

using Integers = std::vector<std::int64_t>;

Tensor vector_of(Integers values, bool scalar = false) {
  Tensor tensor;
  tensor.type = DataType::kInt64;
  tensor.decoded = true;
  tensor.elements = static_cast<std::int64_t>(values.size());
  if (!scalar) tensor.dims = {tensor.elements};
  tensor.integers = std::move(values);
  return tensor;
}

bool decoded(const Tensor* tensor) { return tensor != nullptr && tensor->decoded; }

std::int64_t wrap(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::optional<std::int64_t> arithmetic(std::string_view type, std::int64_t a, std::int64_t b) {
  const auto ua = static_cast<std::uint64_t>(a);
  const auto ub = static_cast<std::uint64_t>(b);
  const bool divisible = b != 0 && b != -1;
  if (type == "Add") return wrap(ua + ub);
  if (type == "Sub") return wrap(ua - ub);
  if (type == "Mul") return wrap(ua * ub);
  if (type == "Div" && divisible) return a / b;
  if (type == "Mod" && divisible) return a % b;
  if (type == "Min") return std::min(a, b);
  if (type == "Max") return std::max(a, b);
  if (type == "Equal") return a == b ? 1 : 0;
  if (type == "Less") return a < b ? 1 : 0;
  if (type == "Greater") return a > b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> arithmetic(std::string_view type, double a, double b) {
  if (type == "Add") return a + b;
  if (type == "Sub") return a - b;
  if (type == "Mul") return a * b;
  if (type == "Div" && b != 0) return a / b;
  if (type == "Pow") return std::pow(a, b);
  if (type == "Min") return std::min(a, b);
  if (type == "Max") return std::max(a, b);
  return std::nullopt;
}

/// Broadcasts a one-element operand or pairs equal lengths; the longer operand gives the shape.
template <typename T>
std::optional<Tensor> binary(std::string_view type, const Tensor& a, const Tensor& b,
                             const std::vector<T>& av, const std::vector<T>& bv,
                             std::vector<T> Tensor::* out) {
  if (av.empty() || bv.empty()) return std::nullopt;
  if (av.size() != bv.size() && av.size() != 1 && bv.size() != 1) return std::nullopt;
  const bool like_a =
      av.size() > bv.size() || (av.size() == bv.size() && a.dims.size() >= b.dims.size());
  Tensor result;
  result.dims = like_a ? a.dims : b.dims;
  result.type = a.type;
  result.decoded = true;
  const std::size_t count = std::max(av.size(), bv.size());
  result.elements = static_cast<std::int64_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = arithmetic(type, av[av.size() == 1 ? 0 : i], bv[bv.size() == 1 ? 0 : i]);
    if (!value) return std::nullopt;
    (result.*out).push_back(*value);
  }
  return result;
}

std::optional<Tensor> unary(std::string_view type, const Tensor& a) {
  Tensor result = a;
  for (std::int64_t& value : result.integers) {
    if (type == "Neg") {
      value = wrap(0 - static_cast<std::uint64_t>(value));
    } else if (type == "Not") {
      value = value == 0 ? 1 : 0;
    } else {
      return std::nullopt;
    }
  }
  for (double& value : result.reals) {
    if (type == "Neg") {
      value = -value;
    } else if (type == "Sqrt") {
      value = std::sqrt(value);
    } else if (type == "Reciprocal") {
      value = 1 / value;
    } else if (type == "Floor") {
      value = std::floor(value);
    } else if (type == "Ceil") {
      value = std::ceil(value);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

std::optional<Tensor> cast(const Tensor& a, DataType to) {
  Tensor result = a;
  result.type = to;
  if (is_float(to) && !is_float(a.type)) {
    result.reals.assign(a.integers.begin(), a.integers.end());
    result.integers.clear();
  } else if (!is_float(to) && is_float(a.type)) {
    result.reals.clear();
    for (const double value : a.reals) {
      if (!(std::abs(value) < 9e18)) return std::nullopt;
      result.integers.push_back(static_cast<std::int64_t>(value));
    }
  }
  return result;
}

/// The elements of `a` at `starts + index * steps` for every index below `counts`, in row order,
/// with `steps` as element strides: slices, reversals and transpositions of small tensors.
Tensor strided(const Tensor& a, std::int64_t start, const Integers& steps, const Integers& counts) {
  Tensor result;
  result.type = a.type;
  result.decoded = true;
  result.dims = counts;
  result.elements = 1;
  for (const std::int64_t count : counts) result.elements *= count;
  Integers index(counts.size(), 0);
  std::int64_t at = start;
  for (std::int64_t n = 0; n < result.elements; ++n) {
    if (is_float(a.type)) {
      result.reals.push_back(a.reals[static_cast<std::size_t>(at)]);
    } else {
      result.integers.push_back(a.integers[static_cast<std::size_t>(at)]);
    }
    for (std::size_t axis = counts.size(); axis-- > 0;) {
      at += steps[axis];
      if (++index[axis] < counts[axis]) break;
      at -= steps[axis] * counts[axis];
      index[axis] = 0;
    }
  }
  return result;
}

Integers element_strides(const Integers& dims) {
  Integers strides(dims.size(), 1);
  for (std::size_t axis = dims.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * dims[axis];
  return strides;
}

std::optional<Tensor> sliced(const Tensor& a, const Integers& starts, const Integers& ends,
                             const Integers& axes, const Integers& steps) {
  if (a.elements == 0 || starts.size() != ends.size()) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(a.dims.size());
  Integers strides = element_strides(a.dims);
  Integers counts = a.dims;
  std::vector<bool> taken(a.dims.size(), false);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    std::int64_t axis = i < axes.size() ? axes[i] : static_cast<std::int64_t>(i);
    if (axis < 0) axis += rank;
    const std::int64_t step = i < steps.size() ? steps[i] : 1;
    if (axis < 0 || axis >= rank || taken[static_cast<std::size_t>(axis)]) return std::nullopt;
    if (step == 0 || step > kMaxDecoded || step < -kMaxDecoded) return std::nullopt;
    const auto at = static_cast<std::size_t>(axis);
    taken[at] = true;
    const std::int64_t size = a.dims[at];
    // Backwards, positions run from size - 1 down to -1, one before the first.
    const std::int64_t low = step > 0 ? 0 : -1;
    const std::int64_t high = step > 0 ? size : size - 1;
    const auto bound = [&](std::int64_t v) {
      v = std::clamp(v, -size - 1, size);
      return std::clamp(v < 0 ? v + size : v, low, high);
    };
    const std::int64_t from = bound(starts[i]);
    const std::int64_t span = step > 0 ? bound(ends[i]) - from : from - bound(ends[i]);
    const std::int64_t stride = step > 0 ? step : -step;
    counts[at] = span <= 0 ? 0 : (span + stride - 1) / stride;
    first += from * strides[at];
    strides[at] *= step;
  }
  for (const std::int64_t count : counts) {
    if (count == 0) first = 0;
  }
  return strided(a, first, strides, counts);
}

std::optional<Tensor> transposed(const Tensor& a, const Integers* perm) {
  const std::size_t rank = a.dims.size();
  if (perm != nullptr && perm->size() != rank) return std::nullopt;
  const Integers strides = element_strides(a.dims);
  Integers steps;
  Integers counts;
  std::vector<bool> taken(rank, false);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t axis =
        perm != nullptr ? (*perm)[i] : static_cast<std::int64_t>(rank - 1 - i);
    if (axis < 0 || axis >= static_cast<std::int64_t>(rank)) return std::nullopt;
    const auto at = static_cast<std::size_t>(axis);
    if (taken[at]) return std::nullopt;
    taken[at] = true;
    steps.push_back(strides[at]);
    counts.push_back(a.dims[at]);
  }
  return strided(a, 0, steps, counts);
}

/// The tensor a Constant node carries, which need not be copied.
const Tensor* constant_tensor(const FlatModel& model, const FlatNode& node) {
  for (const std::string_view name : {"value", "sparse_value"}) {
    const Attribute* value = model.attribute(node, name);
    if (value != nullptr && !value->tensors.empty()) return &value->tensors.front();
  }
  return nullptr;
}

/// The numbers a Constant node carries as plain attributes.
std::optional<Tensor> constant_numbers(const FlatModel& model, const FlatNode& node) {
  const auto small = [](std::size_t n) { return n <= static_cast<std::size_t>(kMaxDecoded); };
  Tensor result;
  if (const Attribute* integer = model.attribute(node, "value_int"); integer != nullptr) {
    return vector_of({integer->integer}, true);
  }
  if (const Attribute* list = model.attribute(node, "value_ints");
      list != nullptr && small(list->integers.size())) {
    return vector_of(list->integers);
  }
  result.type = DataType::kFloat;
  result.decoded = true;
  if (const Attribute* real = model.attribute(node, "value_float"); real != nullptr) {
    result.reals = {real->real};
    result.elements = 1;
    return result;
  }
  if (const Attribute* list = model.attribute(node, "value_floats");
      list != nullptr && small(list->reals.size())) {
    result.reals.assign(list->reals.begin(), list->reals.end());
    result.elements = static_cast<std::int64_t>(result.reals.size());
    result.dims = {result.elements};
    return result;
  }
  return std::nullopt;
}

}  // namespace

const Tensor* ShapeInference::keep(Tensor tensor) {
  made_.push_back(std::move(tensor));
  return &made_.back();
}

const Tensor* ShapeInference::evaluate(const FlatNode& node) {
  if (node.kind == FlatNode::Kind::kAlias) return input(node, 0).tensor;
  if (node.kind == FlatNode::Kind::kSelect || !node.node->domain.empty()) return nullptr;
  const std::string_view type = node.node->type;
  const ValueFacts& first = input(node, 0);

  if (type == "Constant") {
    if (const Tensor* tensor = constant_tensor(model_, node)) return tensor;
    auto tensor = constant_numbers(model_, node);
    return tensor ? keep(std::move(*tensor)) : nullptr;
  }
  if (type == "Shape") {
    if (!first.shape.known() || first.shape.rank > Shape::kStored) return nullptr;
    const auto bound = [&](std::int64_t v) {
      const std::int64_t rank = first.shape.rank;
      return std::clamp(v < 0 ? std::max(v, -rank) + rank : v, std::int64_t{0}, rank);
    };
    Integers dims;
    for (auto i = bound(integer(node, "start", 0)); i < bound(integer(node, "end", 64)); ++i) {
      if (first.shape.dim(static_cast<int>(i)) == kUnknownDim) return nullptr;
      dims.push_back(first.shape.dim(static_cast<int>(i)));
    }
    return keep(vector_of(std::move(dims)));
  }
  if (type == "Identity") return first.tensor;
  if (made_.size() > kMaxEvaluated) return nullptr;
  if (type == "Concat") {
    Integers values;
    for (std::size_t i = 0; i < node.inputs; ++i) {
      const Tensor* part = input(node, i).tensor;
      if (!decoded(part) || is_float(part->type) || part->dims.size() != 1) return nullptr;
      values.insert(values.end(), part->integers.begin(), part->integers.end());
    }
    if (values.size() > static_cast<std::size_t>(kMaxDecoded)) return nullptr;
    return keep(vector_of(std::move(values)));
  }
  // From here on the first operand is a small constant.
  if (!decoded(first.tensor)) return nullptr;
  const Tensor& a = *first.tensor;

  if (type == "Cast") {
    auto result = cast(a, static_cast<DataType>(integer(node, "to", 0)));
    return result ? keep(std::move(*result)) : nullptr;
  }
  if (type == "CastLike") {
    const DataType to = input(node, 1).type;
    if (to == DataType::kUndefined) return first.tensor;
    auto result = cast(a, to);
    return result ? keep(std::move(*result)) : nullptr;
  }
  if (type == "Unsqueeze" || type == "Squeeze" || type == "Reshape" || type == "Flatten") {
    const Shape shape = infer(node, 0);
    if (shape.elements() != a.elements) return nullptr;
    Tensor result = a;
    result.dims.assign(shape.dims.begin(), shape.dims.begin() + shape.rank);
    return keep(std::move(result));
  }
  if (type == "Gather") {
    const Tensor* at = input(node, 1).tensor;
    if (!decoded(at) || is_float(at->type) || is_float(a.type) || a.dims.size() != 1) {
      return nullptr;
    }
    Tensor result = *at;
    result.type = a.type;
    for (std::int64_t& index : result.integers) {
      if (index < -a.elements || index >= a.elements) return nullptr;
      index = a.integers[static_cast<std::size_t>(index < 0 ? index + a.elements : index)];
    }
    return keep(std::move(result));
  }
  if (type == "Slice") {
    const auto starts = list(node, "starts", 1);
    const auto ends = list(node, "ends", 2);
    if (!starts || !ends) return nullptr;
    auto result = sliced(a, *starts, *ends, list(node, "axes", 3).value_or(Integers{}),
                         list(node, "steps", 4).value_or(Integers{}));
    return result ? keep(std::move(*result)) : nullptr;
  }
  if (type == "Transpose") {
    const Attribute* perm = model_.attribute(node, "perm");
    auto result = transposed(a, perm != nullptr ? &perm->integers : nullptr);
    return result ? keep(std::move(*result)) : nullptr;
  }
  if (type == "ReduceProd") {
    std::uint64_t total = 1;
    for (const std::int64_t value : a.integers) total *= static_cast<std::uint64_t>(value);
    return is_float(a.type) ? nullptr : keep(vector_of({wrap(total)}, true));
  }
  if (type == "ConstantOfShape") {
    const std::int64_t count = Shape::of(a.integers).elements();
    if (count < 0 || count > kMaxDecoded || is_float(a.type)) return nullptr;
    const Attribute* value = model_.attribute(node, "value");
    Tensor result;
    result.dims = a.integers;
    result.elements = count;
    result.decoded = true;
    result.type = DataType::kFloat;
    double fill = 0;
    if (value != nullptr && !value->tensors.empty() && decoded(&value->tensors.front()) &&
        value->tensors.front().elements == 1) {
      result.type = value->tensors.front().type;
      if (!is_float(result.type)) {
        result.integers.assign(static_cast<std::size_t>(count),
                               value->tensors.front().integers.front());
        return keep(std::move(result));
      }
      fill = value->tensors.front().reals.front();
    }
    result.reals.assign(static_cast<std::size_t>(count), fill);
    return keep(std::move(result));
  }
  if (type == "Where") {
    const Tensor* yes = input(node, 1).tensor;
    const Tensor* no = input(node, 2).tensor;
    if (!decoded(yes) || !decoded(no) || is_float(yes->type) || is_float(no->type) ||
        yes->elements != a.elements || no->elements != a.elements || is_float(a.type)) {
      return nullptr;
    }
    Tensor result = *yes;
    for (std::size_t i = 0; i < result.integers.size(); ++i) {
      if (a.integers[i] == 0) result.integers[i] = no->integers[i];
    }
    return keep(std::move(result));
  }
  if (node.inputs == 1) {
    auto result = unary(type, a);
    return result ? keep(std::move(*result)) : nullptr;
  }
  const Tensor* second = input(node, 1).tensor;
  if (node.inputs != 2 || !decoded(second) || is_float(a.type) != is_float(second->type)) {
    return nullptr;
  }
  auto result = is_float(a.type)
                    ? binary(type, a, *second, a.reals, second->reals, &Tensor::reals)
                    : binary(type, a, *second, a.integers, second->integers, &Tensor::integers);
  return result ? keep(std::move(*result)) : nullptr;
}

}  // namespace narfast::onnx
