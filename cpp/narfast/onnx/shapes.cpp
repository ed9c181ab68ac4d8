// The rules of shape inference, by operator.
#include "narfast/onnx/shapes.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "narfast/onnx/dims.h"

namespace narfast::onnx {
namespace {

/// No network has more axes; inference must not let hostile ranks grow from node to node.
constexpr int kMaxRank = 64;

enum class Rule : std::uint8_t {
  kSame,
  kBroadcast,
  kConv,
  kConvTranspose,
  kPool,
  kGlobalPool,
  kMatMul,
  kGemm,
  kReduce,
  kArgReduce,
  kReshape,
  kFlatten,
  kTranspose,
  kSqueeze,
  kUnsqueeze,
  kConcat,
  kSplit,
  kSlice,
  kGather,
  kGatherNd,
  kLikeIndices,
  kExpand,
  kSameRank,
  kPad,
  kResize,
  kRecurrent,
  kShapeOf,
  kFilled,
  kVector,
  kOneMore,
  kEinsum,
  kSpatial4,
};

const std::unordered_map<std::string_view, Rule>& rules() {
  using enum Rule;
  static const std::unordered_map<std::string_view, Rule> table = {
      {"Add", kBroadcast},
      {"Sub", kBroadcast},
      {"Mul", kBroadcast},
      {"Div", kBroadcast},
      {"Pow", kBroadcast},
      {"Mod", kBroadcast},
      {"Max", kBroadcast},
      {"Min", kBroadcast},
      {"Sum", kBroadcast},
      {"Mean", kBroadcast},
      {"Where", kBroadcast},
      {"Equal", kBroadcast},
      {"Less", kBroadcast},
      {"LessOrEqual", kBroadcast},
      {"Greater", kBroadcast},
      {"GreaterOrEqual", kBroadcast},
      {"And", kBroadcast},
      {"Or", kBroadcast},
      {"Xor", kBroadcast},
      {"PRelu", kSame},
      {"BitShift", kBroadcast},
      {"Conv", kConv},
      {"FusedConv", kConv},
      {"ConvInteger", kConv},
      {"QLinearConv", kConv},
      {"ConvTranspose", kConvTranspose},
      {"MaxPool", kPool},
      {"AveragePool", kPool},
      {"LpPool", kPool},
      {"GlobalAveragePool", kGlobalPool},
      {"GlobalMaxPool", kGlobalPool},
      {"GlobalLpPool", kGlobalPool},
      {"MatMul", kMatMul},
      {"MatMulInteger", kMatMul},
      {"FusedMatMul", kMatMul},
      {"QLinearMatMul", kMatMul},
      {"Gemm", kGemm},
      {"FusedGemm", kGemm},
      {"ReduceMean", kReduce},
      {"ReduceSum", kReduce},
      {"ReduceMax", kReduce},
      {"ReduceMin", kReduce},
      {"ReduceProd", kReduce},
      {"ReduceL1", kReduce},
      {"ReduceL2", kReduce},
      {"ReduceLogSum", kReduce},
      {"ReduceLogSumExp", kReduce},
      {"ReduceSumSquare", kReduce},
      {"ArgMax", kArgReduce},
      {"ArgMin", kArgReduce},
      {"Reshape", kReshape},
      {"Flatten", kFlatten},
      {"Transpose", kTranspose},
      {"Squeeze", kSqueeze},
      {"Unsqueeze", kUnsqueeze},
      {"Concat", kConcat},
      {"Split", kSplit},
      {"Slice", kSlice},
      {"Gather", kGather},
      {"GatherND", kGatherNd},
      {"GatherElements", kLikeIndices},
      {"Expand", kExpand},
      {"Tile", kSameRank},
      {"Resize", kResize},
      {"Upsample", kResize},
      {"TopK", kSameRank},
      {"Pad", kPad},
      {"CenterCropPad", kSameRank},
      {"LSTM", kRecurrent},
      {"GRU", kRecurrent},
      {"RNN", kRecurrent},
      {"Shape", kShapeOf},
      {"ConstantOfShape", kFilled},
      {"RandomNormal", kFilled},
      {"RandomUniform", kFilled},
      {"Range", kVector},
      {"OneHot", kOneMore},
      {"Einsum", kEinsum},
      {"DepthToSpace", kSpatial4},
      {"SpaceToDepth", kSpatial4},
      {"GridSample", kSameRank},
      {"RoiAlign", kSpatial4},
      {"MaxRoiPool", kSpatial4},
      {"DeformConv", kConv},
      {"Size", kFilled},
  };
  return table;
}

Shape broadcast(const Shape& a, const Shape& b) {
  if (!a.known() || !b.known()) return {};
  Shape result = Shape::of_rank(std::max(a.rank, b.rank));
  for (int i = 0; i < result.rank; ++i) {
    const int ia = i - (result.rank - a.rank);
    const int ib = i - (result.rank - b.rank);
    const std::int64_t da = ia < 0 ? 1 : a.dim(ia);
    const std::int64_t db = ib < 0 ? 1 : b.dim(ib);
    result.set(i, da == 1 ? db : db == 1 ? da : da == kUnknownDim ? db : da);
  }
  return result;
}

Shape matmul(Shape a, Shape b) {
  if (!a.known() || !b.known() || a.rank == 0 || b.rank == 0) return {};
  const bool vector_a = a.rank == 1;
  const bool vector_b = b.rank == 1;
  const std::int64_t rows = vector_a ? 1 : a.dim(a.rank - 2);
  const std::int64_t columns = vector_b ? 1 : b.dim(b.rank - 1);
  a.rank = std::max(a.rank - 2, 0);
  b.rank = std::max(b.rank - 2, 0);
  Shape result = broadcast(a, b);
  if (!vector_a) result.set(result.rank++, rows);
  if (!vector_b) result.set(result.rank++, columns);
  return result;
}

}  // namespace

void Shape::set(int axis, std::int64_t value) {
  if (axis >= 0 && axis < kStored) dims[static_cast<std::size_t>(axis)] = sane(value);
}

Shape Shape::of_rank(int rank) {
  Shape shape;
  shape.rank = rank;
  shape.dims.fill(kUnknownDim);
  return shape;
}

Shape Shape::of(std::span<const std::int64_t> dims) {
  Shape shape = of_rank(static_cast<int>(dims.size()));
  for (int i = 0; i < shape.rank && i < kStored; ++i) {
    shape.set(i, dims[static_cast<std::size_t>(i)]);
  }
  return shape;
}

std::int64_t Shape::elements() const {
  if (!known() || rank > kStored) return -1;
  std::int64_t count = 1;
  for (int i = 0; i < rank; ++i) count = product(count, dim(i));
  return count;
}

ShapeInference::ShapeInference(const FlatModel& model, std::int64_t opset)
    : model_(model), opset_(opset > 0 ? opset : 13), facts_(model.values.size()) {
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    const FlatValue& value = model.values[i];
    ValueFacts& fact = facts_[i];
    if (value.initializer != nullptr) {
      fact.tensor = value.initializer;
      fact.shape = Shape::of(value.initializer->dims);
      fact.type = value.initializer->type;
    } else if (value.declared != nullptr) {
      if (value.declared->has_shape) fact.shape = Shape::of(value.declared->dims);
      fact.type = value.declared->type;
    } else if (value.origin == FlatValue::Origin::kConstant) {
      fact.shape = Shape::of_rank(0);
      fact.type = DataType::kInt64;
    }
  }
}

const ValueFacts& ShapeInference::input(const FlatNode& node, std::size_t n) const {
  const auto inputs = model_.inputs_of(node);
  return n < inputs.size() ? fact(inputs[n]) : nothing_;
}

std::optional<std::vector<std::int64_t>> ShapeInference::integers(const FlatNode& node,
                                                                  std::size_t n) const {
  const Tensor* tensor = input(node, n).tensor;
  if (tensor == nullptr || !tensor->decoded || is_float(tensor->type)) return std::nullopt;
  return tensor->integers;
}

std::optional<std::vector<std::int64_t>> ShapeInference::list(const FlatNode& node,
                                                              std::string_view name,
                                                              std::size_t n) const {
  if (const Attribute* attribute = model_.attribute(node, name)) {
    if (!attribute->integers.empty() || !attribute->has_integer) return attribute->integers;
    return std::vector<std::int64_t>{attribute->integer};
  }
  return integers(node, n);
}

std::int64_t ShapeInference::integer(const FlatNode& node, std::string_view name,
                                     std::int64_t fallback) const {
  const Attribute* attribute = model_.attribute(node, name);
  return attribute != nullptr && attribute->has_integer ? attribute->integer : fallback;
}

std::optional<double> ShapeInference::scalar(const FlatNode& node, std::size_t n) const {
  const Tensor* tensor = input(node, n).tensor;
  if (tensor == nullptr || !tensor->decoded || tensor->elements != 1) return std::nullopt;
  return tensor->reals.empty() ? static_cast<double>(tensor->integers.front())
                               : tensor->reals.front();
}

std::vector<std::int64_t> ShapeInference::reduced_axes(const FlatNode& node) const {
  const int rank = input(node, 0).shape.rank;
  std::vector<std::int64_t> axes;
  if (model_.attribute(node, "axes") == nullptr && input(node, 1).tensor == nullptr &&
      node.inputs > 1 && model_.inputs_of(node)[1] != kOmitted) {
    return axes;  // axes computed at run time
  }
  axes = list(node, "axes", 1).value_or(std::vector<std::int64_t>{});
  if (axes.empty()) {
    if (integer(node, "noop_with_empty_axes", 0) != 0) return axes;
    for (int i = 0; i < rank; ++i) axes.push_back(i);
    return axes;
  }
  for (std::int64_t& axis : axes) {
    if (axis < 0 && rank >= 0) axis += rank;
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  return axes;
}

Shape ShapeInference::reshape(const FlatNode& node) const {
  const Shape& in = input(node, 0).shape;
  const auto target = list(node, "shape", 1);
  if (!target) {
    const std::int64_t rank = input(node, 1).shape.dim(0);
    return input(node, 1).shape.rank == 1 && rank >= 0 && rank <= kMaxRank
               ? Shape::of_rank(static_cast<int>(rank))
               : Shape{};
  }
  if (target->size() > kMaxRank) return {};
  Shape result = Shape::of_rank(static_cast<int>(target->size()));
  const bool allow_zero = integer(node, "allowzero", 0) != 0;
  int open = -1;
  std::int64_t rest = in.elements();
  std::int64_t fixed = 1;
  for (int i = 0; i < result.rank; ++i) {
    const std::int64_t value = (*target)[static_cast<std::size_t>(i)];
    if (value == -1) {
      open = i;
      continue;
    }
    const std::int64_t dim = value == 0 && !allow_zero ? in.dim(i) : sane(value);
    result.set(i, dim);
    fixed = product(fixed, dim);
  }
  if (open >= 0 && rest >= 0 && fixed > 0) result.set(open, rest / fixed);
  return result;
}

Shape ShapeInference::slice(const FlatNode& node) const {
  Shape result = input(node, 0).shape;
  if (!result.known()) return result;
  const auto starts = list(node, "starts", 1);
  const auto ends = list(node, "ends", 2);
  auto axes = list(node, "axes", 3);
  const auto steps = list(node, "steps", 4);
  if (!axes && (node.inputs <= 3 || model_.inputs_of(node)[3] == kOmitted) && starts) {
    axes.emplace();
    for (std::size_t i = 0; i < starts->size(); ++i) {
      axes->push_back(static_cast<std::int64_t>(i));
    }
  }
  if (!axes) return Shape::of_rank(result.rank);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const int axis = normal_axis((*axes)[i], result.rank);
    const std::int64_t size = result.dim(axis);
    result.set(axis, kUnknownDim);
    if (size == kUnknownDim || !starts || !ends || i >= starts->size() || i >= ends->size()) {
      continue;
    }
    const std::int64_t step = steps && i < steps->size() ? clamped((*steps)[i]) : 1;
    if (step <= 0) continue;
    const auto bound = [size](std::int64_t value) {
      value = clamped(value);
      return std::clamp(value < 0 ? value + size : value, std::int64_t{0}, size);
    };
    const std::int64_t length = bound((*ends)[i]) - bound((*starts)[i]);
    result.set(axis, length <= 0 ? 0 : (length + step - 1) / step);
  }
  return result;
}

Shape ShapeInference::reduce(const FlatNode& node, const std::vector<std::int64_t>& axes) const {
  const Shape& in = input(node, 0).shape;
  if (!in.known()) return {};
  const bool keep = integer(node, "keepdims", 1) != 0;
  if (axes.empty() && node.inputs > 1) return keep ? Shape::of_rank(in.rank) : Shape{};
  Shape result = Shape::of_rank(0);
  for (int i = 0; i < in.rank; ++i) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), std::int64_t{i});
    if (reduced && !keep) continue;
    result.set(result.rank++, reduced ? 1 : in.dim(i));
  }
  return result;
}

Shape ShapeInference::infer(const FlatNode& node, std::size_t output) const {
  const Shape& in = input(node, 0).shape;
  if (node.kind != FlatNode::Kind::kOperator) return in;
  const auto found = rules().find(node.node->type);
  const Rule rule = found == rules().end() ? Rule::kSame : found->second;
  switch (rule) {
    case Rule::kSame:
      return output == 0 ? in : Shape{};
    case Rule::kSpatial4:
      return Shape::of_rank(4);
    case Rule::kBroadcast: {
      Shape result = in;
      for (std::size_t i = 1; i < node.inputs; ++i)
        result = broadcast(result, input(node, i).shape);
      return result;
    }
    case Rule::kConv:
      return convolution(node, false);
    case Rule::kConvTranspose:
      return convolution(node, true);
    case Rule::kPool:
      if (!in.known() || output > 0) return output > 0 ? Shape{} : in;
      return windowed(
          node, list(node, "kernel_shape", kAttributeOnly).value_or(std::vector<std::int64_t>{}),
          in);
    case Rule::kGlobalPool: {
      Shape result = in;
      for (int i = 2; i < result.rank; ++i) result.set(i, 1);
      return result;
    }
    case Rule::kMatMul:
      return matmul(in, input(node, node.node->type == "QLinearMatMul" ? 3 : 1).shape);
    case Rule::kGemm: {
      Shape result = Shape::of_rank(2);
      result.set(0, in.dim(integer(node, "transA", 0) != 0 ? 1 : 0));
      result.set(1, input(node, 1).shape.dim(integer(node, "transB", 0) != 0 ? 0 : 1));
      return result;
    }
    case Rule::kReduce:
      return reduce(node, reduced_axes(node));
    case Rule::kArgReduce: {
      const int axis = normal_axis(integer(node, "axis", 0), in.rank);
      return axis < 0 ? Shape{} : reduce(node, {axis});
    }
    case Rule::kReshape:
      return reshape(node);
    case Rule::kFlatten:
      return Shape::of_rank(2);
    case Rule::kTranspose: {
      if (!in.known()) return {};
      const auto perm = list(node, "perm", kAttributeOnly);
      Shape result = Shape::of_rank(in.rank);
      for (int i = 0; i < in.rank; ++i) {
        const auto at = static_cast<std::size_t>(i);
        result.set(i, perm && at < perm->size() ? in.dim(normal_axis((*perm)[at], in.rank))
                      : perm                    ? kUnknownDim
                                                : in.dim(in.rank - 1 - i));
      }
      return result;
    }
    case Rule::kSqueeze: {
      if (!in.known()) return {};
      const auto axes = list(node, "axes", 1);
      Shape result = Shape::of_rank(0);
      if (!axes && node.inputs > 1) return {};
      for (int i = 0; i < in.rank; ++i) {
        bool dropped = false;
        if (axes) {
          for (const std::int64_t axis : *axes) dropped |= normal_axis(axis, in.rank) == i;
        } else {
          if (in.dim(i) == kUnknownDim) return {};
          dropped = in.dim(i) == 1;
        }
        if (!dropped) result.set(result.rank++, in.dim(i));
      }
      return result;
    }
    case Rule::kUnsqueeze: {
      const auto axes = list(node, "axes", 1);
      if (!in.known() || !axes || axes->size() > kMaxRank) return {};
      const int rank = in.rank + static_cast<int>(axes->size());
      Shape result = Shape::of_rank(rank);
      for (int i = 0, from = 0; i < rank; ++i) {
        bool added = false;
        for (const std::int64_t axis : *axes) added |= normal_axis(axis, rank) == i;
        result.set(i, added ? 1 : in.dim(from));
        if (!added) ++from;
      }
      return result;
    }
    case Rule::kConcat: {
      Shape result = in;
      const int axis = normal_axis(integer(node, "axis", 1), in.rank);
      for (std::size_t i = 1; i < node.inputs; ++i) {
        const Shape& other = input(node, i).shape;
        if (!result.known() && other.known()) return Shape::of_rank(other.rank);
        const std::int64_t a = result.dim(axis);
        const std::int64_t b = other.dim(axis);
        result.set(axis, a < 0 || b < 0 ? kUnknownDim : a + b);
      }
      return result;
    }
    case Rule::kSplit: {
      Shape result = in;
      const int axis = normal_axis(integer(node, "axis", 0), in.rank);
      const auto sizes = list(node, "split", 1);
      if (sizes && output < sizes->size()) {
        result.set(axis, (*sizes)[output]);
      } else {
        const std::int64_t size = in.dim(axis);
        const auto parts = static_cast<std::int64_t>(node.outputs);
        result.set(axis, size >= 0 && size % parts == 0 ? size / parts : kUnknownDim);
      }
      return result;
    }
    case Rule::kSlice:
      return slice(node);
    case Rule::kGather: {
      const Shape& indices = input(node, 1).shape;
      const int axis = normal_axis(integer(node, "axis", 0), in.rank);
      if (!indices.known() || axis < 0) return {};
      Shape result = Shape::of_rank(0);
      for (int i = 0; i < axis; ++i) result.set(result.rank++, in.dim(i));
      for (int i = 0; i < indices.rank; ++i) result.set(result.rank++, indices.dim(i));
      for (int i = axis + 1; i < in.rank; ++i) result.set(result.rank++, in.dim(i));
      return result;
    }
    case Rule::kGatherNd: {
      const Shape& indices = input(node, 1).shape;
      const std::int64_t depth = indices.dim(indices.rank - 1);
      if (!in.known() || !indices.known() || depth < 0 || depth > in.rank) return {};
      const std::int64_t rank =
          in.rank + indices.rank - 1 - depth - clamped(integer(node, "batch_dims", 0));
      return rank < 0 || rank > kMaxRank ? Shape{} : Shape::of_rank(static_cast<int>(rank));
    }
    case Rule::kLikeIndices:
      return input(node, 1).shape;
    case Rule::kExpand: {
      const auto target = integers(node, 1);
      if (target) return broadcast(in, Shape::of(*target));
      const std::int64_t rank = input(node, 1).shape.dim(0);
      return in.known() && rank >= 0 && rank <= kMaxRank
                 ? Shape::of_rank(std::max(in.rank, static_cast<int>(rank)))
                 : Shape{};
    }
    case Rule::kSameRank: {
      Shape result = in.known() ? Shape::of_rank(in.rank) : Shape{};
      result.set(0, node.node->type == "Tile" ? kUnknownDim : in.dim(0));
      if (node.node->type != "Tile") result.set(1, in.rank > 1 ? in.dim(1) : kUnknownDim);
      return result;
    }
    case Rule::kPad:
      return padded(node, in);
    case Rule::kResize:
      return resized(node, in);
    case Rule::kRecurrent:
      return Shape::of_rank(output == 0 ? 4 : 3);
    case Rule::kShapeOf: {
      Shape result = Shape::of_rank(1);
      result.set(0, in.rank);
      return result;
    }
    case Rule::kFilled: {
      if (node.node->type == "Size") return Shape::of_rank(0);
      if (const Attribute* shape = model_.attribute(node, "shape")) {
        return shape->integers.size() > kMaxRank ? Shape{} : Shape::of(shape->integers);
      }
      if (const auto dims = integers(node, 0)) return Shape::of(*dims);
      const std::int64_t rank = in.dim(0);
      return in.rank == 1 && rank >= 0 && rank <= kMaxRank ? Shape::of_rank(static_cast<int>(rank))
                                                           : Shape{};
    }
    case Rule::kVector:
      return Shape::of_rank(1);
    case Rule::kOneMore:
      return in.known() ? Shape::of_rank(in.rank + 1) : Shape{};
    case Rule::kEinsum: {
      const Attribute* equation = model_.attribute(node, "equation");
      if (equation == nullptr) return {};
      const std::size_t arrow = equation->text.find("->");
      if (arrow == std::string_view::npos || equation->text.find('.') != std::string_view::npos) {
        return {};
      }
      const std::string_view right = equation->text.substr(arrow + 2);
      const auto letters =
          std::count_if(right.begin(), right.end(), [](char c) { return c != ' '; });
      return letters > kMaxRank ? Shape{} : Shape::of_rank(static_cast<int>(letters));
    }
  }
  return {};
}

void ShapeInference::visit(const FlatNode& node) {
  const Tensor* value = evaluate(node);
  const auto outputs = model_.outputs_of(node);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kOmitted) continue;
    ValueFacts& fact = facts_[static_cast<std::size_t>(outputs[i])];
    if (value != nullptr && i == 0) {
      fact = {Shape::of(value->dims), value->type, value};
      continue;
    }
    if (!fact.shape.known()) fact.shape = infer(node, i);
    if (fact.shape.rank > kMaxRank) fact.shape = {};
    if (node.kind == FlatNode::Kind::kOperator && node.node->type == "Cast") {
      fact.type = static_cast<DataType>(integer(node, "to", 0));
    } else if (fact.type == DataType::kUndefined) {
      fact.type = input(node, 0).type;
    }
  }
}

}  // namespace narfast::onnx
