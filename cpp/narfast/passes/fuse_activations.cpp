// Finds activations written out in primitive operators.
#include "narfast/graph/attributes.h"
#include "narfast/passes/canonicalize.h"

namespace narfast {
namespace {

struct Ops {
  OpId mul = operator_id("mul"), div = operator_id("div"), add = operator_id("add"),
       sub = operator_id("sub"), pow = operator_id("pow"), sigmoid = operator_id("sigmoid"),
       tanh = operator_id("tanh"), softplus = operator_id("softplus"), erf = operator_id("erf"),
       clip = operator_id("clip"), maximum = operator_id("maximum"),
       minimum = operator_id("minimum"), relu6 = operator_id("relu6"),
       hardsigmoid = operator_id("hardsigmoid"), hardswish = operator_id("hardswish"),
       silu = operator_id("silu"), gelu = operator_id("gelu"), mish = operator_id("mish"),
       glu = operator_id("glu"), split = operator_id("split");
};

constexpr Attr kClassOne = 1u << attr::kConstantClassShift;

class ActivationFuser {
 public:
  explicit ActivationFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      const OpId op = graph_.op(node);
      if (op == ops_.clip && (graph_.attr(node) & attr::kConstantClassMask) == kClassOne)
        graph_.become(node, ops_.relu6, 0, graph_.inputs(node));
      else if (is_bound(node))
        graph_.become(node, ops_.clip, 0, graph_.inputs(node));
      else if (op == ops_.mul && graph_.inputs(node).size() == 2)
        try_product(node);
      else if (op == ops_.mul || op == ops_.div)
        try_hardsigmoid(node);
    }
  }

 private:
  bool is_unary(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }
  NodeId input(NodeId node) const { return graph_.inputs(node).front(); }
  bool is_scalar_add(NodeId node) const {
    return is_unary(node, ops_.add) && graph_.has_attr(node, attr::kScalarOperand);
  }

  // The greater or the smaller of x and a number: a clip open at one end.
  bool is_bound(NodeId node) const {
    return (is_unary(node, ops_.maximum) || is_unary(node, ops_.minimum)) &&
           graph_.has_attr(node, attr::kScalarOperand);
  }

  // relu6(x + 3) / 6
  void try_hardsigmoid(NodeId node) {
    const NodeId inner = strip_scale(graph_, node);
    if (inner == node || !is_unary(inner, ops_.relu6) || !is_scalar_add(input(inner))) return;
    graph_.become(node, ops_.hardsigmoid, 0, {input(input(inner))});
  }

  // x * gate(x), either way round
  void try_product(NodeId node) {
    const NodeId a = graph_.inputs(node)[0], b = graph_.inputs(node)[1];
    if (!try_gate(node, a, b)) try_gate(node, b, a);
  }

  bool try_gate(NodeId node, NodeId value, NodeId gate) {
    const NodeId x = strip_scale(graph_, value);
    const NodeId g = strip_scale(graph_, gate);
    if (is_unary(g, ops_.sigmoid) && input(g) == x) {
      if (graph_.op(x) == ops_.split && graph_.inputs(x).size() == 1)
        graph_.become(node, ops_.glu, 0, {input(x)});  // one half gates the other
      else
        graph_.become(node, ops_.silu, 0, {x});
      return true;
    }
    if (graph_.op(x) == ops_.split) return false;  // two pieces of x are not x
    if (is_unary(g, ops_.sigmoid) && strip_scale(graph_, input(g)) == x)
      return turn(node, ops_.gelu, x);  // x * sigmoid(1.702 x)
    if (is_unary(g, ops_.hardsigmoid) && input(g) == x) return turn(node, ops_.hardswish, x);
    if (is_unary(g, ops_.relu6) && is_scalar_add(input(g)) && input(input(g)) == x)
      return turn(node, ops_.hardswish, x);
    if (is_unary(g, ops_.tanh) && is_unary(input(g), ops_.softplus) && input(input(g)) == x)
      return turn(node, ops_.mish, x);
    if (is_scalar_add(g)) {
      const NodeId inner = strip_scale(graph_, input(g));
      if (is_unary(inner, ops_.erf) && strip_scale(graph_, input(inner)) == x)
        return turn(node, ops_.gelu, x);
      if (is_unary(inner, ops_.tanh) && depends_only_on(input(inner), x, 12))
        return turn(node, ops_.gelu, x);
    }
    return false;
  }

  bool turn(NodeId node, OpId op, NodeId x) {
    graph_.become(node, op, 0, {x});
    return true;
  }

  // Whether `node` is a polynomial in x: only sums, products and powers above it, down to x.
  // `budget` bounds the size of the expression (the tanh form of GELU has seven operators).
  bool depends_only_on(NodeId node, NodeId x, int budget) const {
    std::vector<NodeId> open{node};
    while (!open.empty()) {
      const NodeId current = open.back();
      open.pop_back();
      if (current == x) continue;
      const OpId op = graph_.op(current);
      const bool polynomial =
          op == ops_.add || op == ops_.mul || op == ops_.div || op == ops_.sub || op == ops_.pow;
      if (!polynomial || --budget < 0 || graph_.inputs(current).empty()) return false;
      for (NodeId source : graph_.inputs(current)) open.push_back(source);
    }
    return true;
  }

  Rewriter& graph_;
  Ops ops_;
};

}  // namespace

void fuse_activations(Rewriter& graph) { ActivationFuser(graph).run(); }

}  // namespace narfast
