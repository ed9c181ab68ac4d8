// Finds activations written out in primitive operators.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

constexpr Attr kClassOne = attr::kConstantClass.pack(1);

class ActivationFuser {
 public:
  explicit ActivationFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      const OpId op = graph_.op(node);
      if (op == "clip"_op && (graph_.attr(node) & attr::kConstantClass.mask()) == kClassOne)
        graph_.become(node, "relu6"_op, 0, graph_.inputs(node));
      else if (is_bound(node))
        graph_.become(node, "clip"_op, 0, graph_.inputs(node));
      else if (op == "mul"_op && graph_.inputs(node).size() == 2)
        try_product(node);
      else if (op == "mul"_op || op == "div"_op)
        try_hardsigmoid(node);
    }
  }

 private:
  [[nodiscard]] bool is_unary(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }
  [[nodiscard]] NodeId input(NodeId node) const { return graph_.inputs(node).front(); }
  [[nodiscard]] bool is_scalar_add(NodeId node) const {
    return is_unary(node, "add"_op) && graph_.has_attr(node, attr::kScalarOperand);
  }

  // The greater or the smaller of x and a number: a clip open at one end.
  [[nodiscard]] bool is_bound(NodeId node) const {
    return (is_unary(node, "maximum"_op) || is_unary(node, "minimum"_op)) &&
           graph_.has_attr(node, attr::kScalarOperand);
  }

  // relu6(x + 3) / 6
  void try_hardsigmoid(NodeId node) {
    const NodeId inner = strip_scale(graph_, node);
    if (inner == node || !is_unary(inner, "relu6"_op) || !is_scalar_add(input(inner))) return;
    graph_.become(node, "hardsigmoid"_op, 0, {input(input(inner))});
  }

  // x * gate(x), either way round
  void try_product(NodeId node) {
    const NodeId a = graph_.inputs(node)[0], b = graph_.inputs(node)[1];
    if (!try_gate(node, a, b)) try_gate(node, b, a);
  }

  bool try_gate(NodeId node, NodeId value, NodeId gate) {
    const NodeId x = strip_scale(graph_, value);
    const NodeId g = strip_scale(graph_, gate);
    if (is_unary(g, "sigmoid"_op) && input(g) == x) {
      if (graph_.op(x) == "split"_op && graph_.inputs(x).size() == 1)
        graph_.become(node, "glu"_op, 0, {input(x)});  // one half gates the other
      else
        graph_.become(node, "silu"_op, 0, {x});
      return true;
    }
    if (graph_.op(x) == "split"_op) return false;  // two pieces of x are not x
    if (is_unary(g, "sigmoid"_op) && strip_scale(graph_, input(g)) == x)
      return turn(node, "gelu"_op, x);  // x * sigmoid(1.702 x)
    if (is_unary(g, "hardsigmoid"_op) && input(g) == x) return turn(node, "hardswish"_op, x);
    if (is_unary(g, "relu6"_op) && is_scalar_add(input(g)) && input(input(g)) == x)
      return turn(node, "hardswish"_op, x);
    if (is_unary(g, "tanh"_op) && is_unary(input(g), "softplus"_op) && input(input(g)) == x)
      return turn(node, "mish"_op, x);
    if (is_scalar_add(g)) {
      const NodeId inner = strip_scale(graph_, input(g));
      if (is_unary(inner, "erf"_op) && strip_scale(graph_, input(inner)) == x)
        return turn(node, "gelu"_op, x);
      if (is_unary(inner, "tanh"_op) && depends_only_on(input(inner), x, 12))
        return turn(node, "gelu"_op, x);
    }
    return false;
  }

  bool turn(NodeId node, OpId op, NodeId x) {
    graph_.become(node, op, 0, {x});
    return true;
  }

  // Whether `node` is a polynomial in x: only sums, products and powers above it, down to x.
  // `budget` bounds the size of the expression (the tanh form of GELU has seven operators).
  [[nodiscard]] bool depends_only_on(NodeId node, NodeId x, int budget) const {
    std::vector<NodeId> open{node};
    while (!open.empty()) {
      const NodeId current = open.back();
      open.pop_back();
      if (current == x) continue;
      const OpId op = graph_.op(current);
      const bool polynomial =
          op == "add"_op || op == "mul"_op || op == "div"_op || op == "sub"_op || op == "pow"_op;
      if (!polynomial || --budget < 0 || graph_.inputs(current).empty()) return false;
      for (NodeId source : graph_.inputs(current)) open.push_back(source);
    }
    return true;
  }

  Rewriter& graph_;
};

}  // namespace

void fuse_activations(Rewriter& graph) { ActivationFuser(graph).run(); }

}  // namespace narfast
