#include "narfast/onnx/attributes.h"

#include <optional>
#include <string_view>

namespace narfast::onnx {
namespace {

/// At most one side longer than 1: a bias or a scale per channel.
bool is_vector(const Shape& shape) {
  int sides = 0;
  for (int axis = 0; axis < shape.rank; ++axis) sides += shape.dim(axis) == 1 ? 0 : 1;
  return shape.known() && sides <= 1;
}

}  // namespace

bool mirrors_layout(const std::vector<std::int64_t>& perm) {
  using P = std::vector<std::int64_t>;
  return perm == P{0, 2, 3, 1} || perm == P{0, 3, 1, 2} || perm == P{0, 2, 3, 4, 1} ||
         perm == P{0, 4, 1, 2, 3} || perm == P{1, 0, 2};
}

Attributes AttributeReader::convolution(const FlatNode& flat, bool transposed) const {
  const std::string_view type = flat.node->type;
  const Shape& weight = facts_.input(flat, type == "QLinearConv" ? 3 : 1).shape;
  const auto numbers = [&](std::string_view name) {
    return facts_.list(flat, name, kAttributeOnly).value_or(std::vector<std::int64_t>{});
  };
  std::vector<std::int64_t> kernel = numbers("kernel_shape");
  if (kernel.empty()) {
    for (int axis = 2; axis < weight.rank; ++axis) kernel.push_back(weight.dim(axis));
  }
  Attributes a;
  for (const std::int64_t side : kernel) {
    a.kernel = std::max(a.kernel, to_int(side));
    a.square = a.square && side == kernel.front();
  }
  a.spatial_rank = to_int(static_cast<std::int64_t>(kernel.size()));
  for (const std::int64_t stride : numbers("strides"))
    a.stride = std::max(a.stride, to_int(stride));
  for (const std::int64_t d : numbers("dilations")) a.dilation = std::max(a.dilation, to_int(d));
  const std::int64_t groups = std::max<std::int64_t>(facts_.integer(flat, "group", 1), 1);
  a.groups = to_int(groups);
  const auto times = [](std::int64_t n, std::int64_t m) {
    return n <= 0 || n > std::numeric_limits<int>::max() / m ? 0 : to_int(n * m);
  };
  if (groups <= std::numeric_limits<int>::max()) {
    a.in_channels = transposed ? to_int(weight.dim(0)) : times(weight.dim(1), groups);
    a.out_channels = transposed ? times(weight.dim(1), groups) : to_int(weight.dim(0));
  }
  return a;
}

Attributes AttributeReader::pooling(const FlatNode& flat) const {
  Attributes a = convolution(flat);
  a.groups = a.in_channels = a.out_channels = 0;
  return a;
}

Attributes AttributeReader::axes(const FlatNode& flat,
                                 const std::vector<std::int64_t>& axes) const {
  const int rank = facts_.input(flat, 0).shape.rank;
  Attributes a;
  using A = std::vector<std::int64_t>;
  a.last_axis = axes.size() == 1 && (axes[0] == -1 || (rank > 0 && axes[0] == rank - 1));
  a.space_axes = (rank == 3 && axes == A{1}) ||
                 (rank == 4 && (axes == A{2, 3} || axes == A{1, 2})) ||
                 (rank == 5 && (axes == A{2, 3, 4} || axes == A{1, 2, 3}));
  return a;
}

Attributes AttributeReader::constant_operand(const FlatNode& flat, OpId op, std::size_t second,
                                             const IsConstant& is_constant) const {
  Attributes a;
  const std::size_t at[2] = {0, second};
  for (const std::size_t n : at) {
    if (!is_constant(n)) continue;
    const ValueFacts& fact = facts_.input(flat, n);
    const bool one =
        fact.tensor != nullptr ? fact.tensor->elements == 1 : fact.shape.elements() == 1;
    (one ? a.scalar_operand : a.param_operand) = true;
    const bool arithmetic = op == "add"_op || op == "sub"_op || op == "mul"_op || op == "div"_op;
    if (!one && arithmetic && is_vector(fact.shape)) a.constant_class = 1;
    a.constant_first = n == 0 && (op == "sub"_op || op == "div"_op || op == "pow"_op);
  }
  if (op == "pow"_op && a.scalar_operand && !a.constant_first) {
    const double exponent = facts_.scalar(flat, second).value_or(0);
    a.constant_class = exponent == 2 ? 1 : exponent == 0.5 ? 2 : exponent == 3 ? 3 : 0;
  }
  return a;
}

Attributes AttributeReader::read(const FlatNode& flat, OpId op,
                                 const IsConstant& is_constant) const {
  const OperatorInfo& info = operator_table()[op];
  if (op == "conv"_op || op == "conv_transpose"_op || op == "deform_conv"_op) {
    return convolution(flat, op == "conv_transpose"_op);
  }
  if (op == "max_pool"_op || op == "avg_pool"_op || op == "lp_pool"_op) {
    return flat.node->type.substr(0, 6) == "Global" ? Attributes{} : pooling(flat);
  }
  if (op == "add"_op || op == "sub"_op || op == "mul"_op || op == "div"_op || op == "pow"_op ||
      op == "maximum"_op || op == "minimum"_op || op == "remainder"_op) {
    const bool quantized = flat.node->type.substr(0, 7) == "QLinear";
    return constant_operand(flat, op, quantized ? 3 : 1, is_constant);
  }
  if (op == "softmax"_op || op == "log_softmax"_op) {
    const std::int64_t axis = facts_.integer(flat, "axis", opset_ > 0 && opset_ < 13 ? 1 : -1);
    return axes(flat, {axis});
  }
  if (info.category == Category::kReduction) {
    if (flat_.attribute(flat, "axis") != nullptr)
      return axes(flat, {facts_.integer(flat, "axis", 0)});
    return axes(flat, facts_.reduced_axes(flat));
  }
  if (op == "concat"_op) {
    Attributes a;  // a class token and its like
    for (std::size_t n = 0; n < flat.inputs; ++n)
      a.param_operand = a.param_operand || is_constant(n);
    return a;
  }
  if (op == "permute"_op) {
    Attributes a;
    const Attribute* perm = flat_.attribute(flat, "perm");
    a.layout_permute = perm != nullptr && mirrors_layout(perm->integers);
    return a;
  }
  if (op == "clip"_op) {
    const auto bound = [&](std::string_view name, std::size_t n) -> std::optional<double> {
      const Attribute* attribute = flat_.attribute(flat, name);
      if (attribute != nullptr && attribute->has_real) return attribute->real;
      return facts_.scalar(flat, n);
    };
    Attributes a;
    a.constant_class = bound("min", 1) == 0.0 && bound("max", 2) == 6.0 ? 1 : 0;
    return a;
  }
  if (op == "attention"_op) {
    Attributes a;
    a.heads =
        to_int(facts_.integer(flat, flat.node->domain.empty() ? "q_num_heads" : "num_heads", 0));
    return a;
  }
  return {};
}

}  // namespace narfast::onnx
