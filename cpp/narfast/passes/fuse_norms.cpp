// Finds normalizations written out in primitive operators.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;

class NormFuser {
 public:
  explicit NormFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      const OpId op = graph_.op(node);
      const auto& inputs = graph_.inputs(node);
      if (op == "div"_op && inputs.size() == 2) {
        if (!try_quotient(node, inputs[0], root(inputs[1]))) try_l2(node, inputs[0], inputs[1]);
      } else if (is_inverse_of_root(node)) {
        graph_.become(node, "rsqrt"_op, 0, {input(input(node))});
      } else if (op == "mul"_op && inputs.size() == 2) {
        const NodeId a = inputs[0], b = inputs[1];
        if (!try_quotient(node, a, inverse_root(b))) try_quotient(node, b, inverse_root(a));
      } else if (op == "mean"_op && inputs.size() == 1) {
        try_variance(node);
      } else if ((op == "mul"_op || op == "add"_op) && inputs.size() == 1) {
        absorb_affine(node);
      }
    }
  }

 private:
  [[nodiscard]] bool is_unary(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }
  [[nodiscard]] NodeId input(NodeId node) const { return graph_.inputs(node).front(); }

  // v of sqrt(v + epsilon), the epsilon being optional; kNone for anything else.
  [[nodiscard]] NodeId root(NodeId node) const {
    const Attr half = attr::kConstantClass.pack(2);
    if (!is_unary(node, "sqrt"_op) &&
        !(is_unary(node, "pow"_op) && (graph_.attr(node) & attr::kConstantClass.mask()) == half))
      return kNone;
    return without_epsilon(input(node));
  }
  [[nodiscard]] NodeId inverse_root(NodeId node) const {
    if (is_unary(node, "rsqrt"_op)) return without_epsilon(input(node));
    return is_inverse(node) ? root(input(node)) : kNone;
  }
  [[nodiscard]] bool is_inverse(NodeId node) const {
    constexpr Attr kOneOver = attr::kConstantFirst | attr::kScalarOperand;
    return is_unary(node, "reciprocal"_op) ||
           (is_unary(node, "div"_op) && (graph_.attr(node) & kOneOver) == kOneOver);
  }
  // 1 / sqrt(v), as exporters write rsqrt.
  [[nodiscard]] bool is_inverse_of_root(NodeId node) const {
    return is_inverse(node) && is_unary(input(node), "sqrt"_op);
  }
  [[nodiscard]] NodeId without_epsilon(NodeId node) const {
    const bool adds = is_unary(node, "add"_op) && graph_.has_attr(node, attr::kScalarOperand);
    return adds || is_unary(node, "clip"_op) ? input(node) : node;
  }

  // y of y * y or pow(y, 2).
  [[nodiscard]] NodeId square(NodeId node) const {
    const Attr two = attr::kConstantClass.pack(1);
    if (is_unary(node, "pow"_op) && (graph_.attr(node) & attr::kConstantClass.mask()) == two)
      return input(node);
    if (graph_.op(node) == "mul"_op && graph_.inputs(node).size() == 2 &&
        graph_.inputs(node)[0] == graph_.inputs(node)[1])
      return input(node);
    return kNone;
  }

  // x of x - mean(x).
  [[nodiscard]] NodeId centred(NodeId node) const {
    if (graph_.op(node) != "sub"_op || graph_.inputs(node).size() != 2) return kNone;
    const NodeId x = graph_.inputs(node)[0], mean = graph_.inputs(node)[1];
    return is_unary(mean, "mean"_op) && input(mean) == x ? x : kNone;
  }

  // mean((x - mean(x))^2)
  void try_variance(NodeId node) {
    const NodeId squared = square(input(node));
    const NodeId x = squared == kNone ? kNone : centred(squared);
    if (x != kNone) graph_.become(node, "variance"_op, graph_.attr(node), {x});
  }

  // y / sqrt(variance): layer norm when y is centred, RMS norm when it is not (by the variance of y
  // too, as timm has it), and division by the length where the squares are summed.
  bool try_quotient(NodeId node, NodeId y, NodeId variance) {
    if (variance == kNone) return false;
    const NodeId x = centred(y);
    if (is_unary(variance, "sum"_op) && square(input(variance)) == y) {
      graph_.become(node, "l2_norm"_op, 0, {y});
      return true;
    }
    bool of_itself = false;
    if (is_unary(variance, "variance"_op)) {
      of_itself = input(variance) == y || input(variance) == x;
    } else if (is_unary(variance, "mean"_op)) {
      const NodeId squared = square(input(variance));
      of_itself = squared != kNone && (squared == y || (x != kNone && centred(squared) == x));
    }
    if (!of_itself) return false;
    graph_.become(node, x != kNone ? "layer_norm"_op : "rms_norm"_op, 0, {x != kNone ? x : y});
    return true;
  }

  // x / max(|x|, epsilon)
  void try_l2(NodeId node, NodeId x, NodeId length) {
    if (is_unary(length, "clip"_op) || is_unary(length, "maximum"_op)) length = input(length);
    if (is_unary(length, "norm"_op) && input(length) == x)
      graph_.become(node, "l2_norm"_op, 0, {x});
  }

  // The learnt scale and shift after a normalization. Instance norm has its own pair: with another
  // pair after it, it is a group norm of an exporter.
  void absorb_affine(NodeId node) {
    if (!graph_.has_attr(node, attr::kParamOperand)) return;
    const NodeId norm = input(node);
    const OpId op = graph_.op(norm);
    const bool takes_affine = op == "layer_norm"_op || op == "rms_norm"_op ||
                              op == "group_norm"_op || op == "instance_norm"_op;
    if (!takes_affine || graph_.uses(norm) != 1) return;
    if (op == "instance_norm"_op) graph_.become(norm, "group_norm"_op, 0, graph_.inputs(norm));
    graph_.replace_by(node, norm);
  }

  Rewriter& graph_;
};

}  // namespace

void fuse_norms(Rewriter& graph) { NormFuser(graph).run(); }

}  // namespace narfast
