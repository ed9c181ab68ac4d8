// Finds normalizations written out in primitive operators.
#include "narfast/graph/attributes.h"
#include "narfast/passes/canonicalize.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;

struct Ops {
  OpId mul = operator_id("mul"), div = operator_id("div"), add = operator_id("add"),
       sub = operator_id("sub"), pow = operator_id("pow"), sqrt = operator_id("sqrt"),
       rsqrt = operator_id("rsqrt"), reciprocal = operator_id("reciprocal"),
       mean = operator_id("mean"), variance = operator_id("variance"), norm = operator_id("norm"),
       sum = operator_id("sum"), clip = operator_id("clip"), maximum = operator_id("maximum"),
       layer_norm = operator_id("layer_norm"), rms_norm = operator_id("rms_norm"),
       group_norm = operator_id("group_norm"), instance_norm = operator_id("instance_norm"),
       l2_norm = operator_id("l2_norm");
};

class NormFuser {
 public:
  explicit NormFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      const OpId op = graph_.op(node);
      const auto& inputs = graph_.inputs(node);
      if (op == ops_.div && inputs.size() == 2) {
        if (!try_quotient(node, inputs[0], root(inputs[1]))) try_l2(node, inputs[0], inputs[1]);
      } else if (is_inverse_of_root(node)) {
        graph_.become(node, ops_.rsqrt, 0, {input(input(node))});
      } else if (op == ops_.mul && inputs.size() == 2) {
        const NodeId a = inputs[0], b = inputs[1];
        if (!try_quotient(node, a, inverse_root(b))) try_quotient(node, b, inverse_root(a));
      } else if (op == ops_.mean && inputs.size() == 1) {
        try_variance(node);
      } else if ((op == ops_.mul || op == ops_.add) && inputs.size() == 1) {
        absorb_affine(node);
      }
    }
  }

 private:
  bool is_unary(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }
  NodeId input(NodeId node) const { return graph_.inputs(node).front(); }

  // v of sqrt(v + epsilon), the epsilon being optional; kNone for anything else.
  NodeId root(NodeId node) const {
    const Attr half = 2u << attr::kConstantClassShift;
    if (!is_unary(node, ops_.sqrt) &&
        !(is_unary(node, ops_.pow) && (graph_.attr(node) & attr::kConstantClassMask) == half))
      return kNone;
    return without_epsilon(input(node));
  }
  NodeId inverse_root(NodeId node) const {
    if (is_unary(node, ops_.rsqrt)) return without_epsilon(input(node));
    return is_inverse(node) ? root(input(node)) : kNone;
  }
  bool is_inverse(NodeId node) const {
    constexpr Attr kOneOver = attr::kConstantFirst | attr::kScalarOperand;
    return is_unary(node, ops_.reciprocal) ||
           (is_unary(node, ops_.div) && (graph_.attr(node) & kOneOver) == kOneOver);
  }
  // 1 / sqrt(v), as exporters write rsqrt.
  bool is_inverse_of_root(NodeId node) const {
    return is_inverse(node) && is_unary(input(node), ops_.sqrt);
  }
  NodeId without_epsilon(NodeId node) const {
    const bool adds = is_unary(node, ops_.add) && graph_.has_attr(node, attr::kScalarOperand);
    return adds || is_unary(node, ops_.clip) ? input(node) : node;
  }

  // y of y * y or pow(y, 2).
  NodeId square(NodeId node) const {
    const Attr two = 1u << attr::kConstantClassShift;
    if (is_unary(node, ops_.pow) && (graph_.attr(node) & attr::kConstantClassMask) == two)
      return input(node);
    if (graph_.op(node) == ops_.mul && graph_.inputs(node).size() == 2 &&
        graph_.inputs(node)[0] == graph_.inputs(node)[1])
      return input(node);
    return kNone;
  }

  // x of x - mean(x).
  NodeId centred(NodeId node) const {
    if (graph_.op(node) != ops_.sub || graph_.inputs(node).size() != 2) return kNone;
    const NodeId x = graph_.inputs(node)[0], mean = graph_.inputs(node)[1];
    return is_unary(mean, ops_.mean) && input(mean) == x ? x : kNone;
  }

  // mean((x - mean(x))^2)
  void try_variance(NodeId node) {
    const NodeId squared = square(input(node));
    const NodeId x = squared == kNone ? kNone : centred(squared);
    if (x != kNone) graph_.become(node, ops_.variance, graph_.attr(node), {x});
  }

  // y / sqrt(variance): layer norm when y is centred, RMS norm when it is not (by the variance of y
  // too, as timm has it), and division by the length where the squares are summed.
  bool try_quotient(NodeId node, NodeId y, NodeId variance) {
    if (variance == kNone) return false;
    const NodeId x = centred(y);
    if (is_unary(variance, ops_.sum) && square(input(variance)) == y) {
      graph_.become(node, ops_.l2_norm, 0, {y});
      return true;
    }
    bool of_itself = false;
    if (is_unary(variance, ops_.variance)) {
      of_itself = input(variance) == y || input(variance) == x;
    } else if (is_unary(variance, ops_.mean)) {
      const NodeId squared = square(input(variance));
      of_itself = squared != kNone && (squared == y || (x != kNone && centred(squared) == x));
    }
    if (!of_itself) return false;
    graph_.become(node, x != kNone ? ops_.layer_norm : ops_.rms_norm, 0, {x != kNone ? x : y});
    return true;
  }

  // x / max(|x|, epsilon)
  void try_l2(NodeId node, NodeId x, NodeId length) {
    if (is_unary(length, ops_.clip) || is_unary(length, ops_.maximum)) length = input(length);
    if (is_unary(length, ops_.norm) && input(length) == x)
      graph_.become(node, ops_.l2_norm, 0, {x});
  }

  // The learnt scale and shift after a normalization. Instance norm has its own: with another pair
  // after it, it is how exporters write group norm.
  void absorb_affine(NodeId node) {
    if (!graph_.has_attr(node, attr::kParamOperand)) return;
    const NodeId norm = input(node);
    const OpId op = graph_.op(norm);
    const bool takes_affine = op == ops_.layer_norm || op == ops_.rms_norm ||
                              op == ops_.group_norm || op == ops_.instance_norm;
    if (!takes_affine || graph_.uses(norm) != 1) return;
    if (op == ops_.instance_norm) graph_.become(norm, ops_.group_norm, 0, graph_.inputs(norm));
    graph_.replace_by(node, norm);
  }

  Rewriter& graph_;
  Ops ops_;
};

}  // namespace

void fuse_norms(Rewriter& graph) { NormFuser(graph).run(); }

}  // namespace narfast
