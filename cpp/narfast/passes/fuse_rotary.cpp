// Rotary embedding becomes one operator: code bases write it out in several spellings.
#include <span>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/passes/canonicalize.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;

struct Ops {
  OpId rotary = operator_id("rotary_embedding"), mul = operator_id("mul"), add = operator_id("add"),
       sub = operator_id("sub"), neg = operator_id("neg"), concat = operator_id("concat"),
       split = operator_id("split"), slice = operator_id("slice"), permute = operator_id("permute");
};

class RotaryFuser {
 public:
  explicit RotaryFuser(Rewriter& graph)
      : graph_(graph), origin_(static_cast<std::size_t>(graph.size())) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      if (graph_.op(node) == ops_.add)
        try_rotated(node);
      else if (graph_.op(node) == ops_.concat && !graph_.has_attr(node, attr::kParamOperand))
        try_halves(node);
      const bool arranges = is(node, ops_.permute) || is(node, ops_.split) || is(node, ops_.slice);
      origin_[index(node)] = arranges ? origin_[index(input(node))] : node;
    }
  }

 private:
  static std::size_t index(NodeId node) { return static_cast<std::size_t>(node); }
  NodeId input(NodeId node) const { return graph_.inputs(node).front(); }
  NodeId origin(NodeId node) const { return origin_[index(node)]; }
  bool is(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }

  // The operands of a product with a table of cosines or sines, one of which is the table if that
  // is computed from positions in the input; none if `node` is no such product.
  std::span<const NodeId> factors(NodeId node) const {
    const auto& inputs = graph_.inputs(node);
    const bool by_table =
        inputs.size() == 2 || (inputs.size() == 1 && graph_.has_attr(node, attr::kParamOperand));
    if (graph_.op(node) != ops_.mul || !by_table) return {};
    return inputs;
  }

  // The value of which `node` is (-second half, first half), halves of any kind; kNone if none.
  NodeId turned(NodeId node) const {
    if (graph_.op(node) != ops_.concat || graph_.inputs(node).size() != 2) return kNone;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}}) {
      const NodeId minus = graph_.inputs(node)[first], plus = graph_.inputs(node)[1 - first];
      if (is(minus, ops_.neg) && input(minus) == plus && is_part(plus)) return origin(plus);
    }
    return kNone;
  }
  bool is_part(NodeId node) const { return is(node, ops_.split) || is(node, ops_.slice); }

  // x * cos + (-x2, x1) * sin
  void try_rotated(NodeId node) {
    if (graph_.inputs(node).size() != 2) return;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}})
      for (NodeId plain : factors(graph_.inputs(node)[first]))
        for (NodeId other : factors(graph_.inputs(node)[1 - first]))
          if (const NodeId x = turned(other); x != kNone && origin(plain) == x) {
            graph_.become(node, ops_.rotary, 0, {x});
            return;
          }
  }

  // (x1 * cos - x2 * sin, x2 * cos + x1 * sin), or a rotated part of x beside the rest of it
  void try_halves(NodeId node) {
    const auto& parts = graph_.inputs(node);
    if (parts.size() < 2) return;
    NodeId x = kNone;
    bool rotated = false;
    for (NodeId part : parts) {
      NodeId from = kNone;
      if (is(part, ops_.rotary)) {
        from = input(part);
        rotated = true;
      } else if (is_part(part)) {
        from = origin(part);
      } else if (parts.size() == 2) {
        from = rotated_half_of(part);
        rotated = true;
      }
      if (from == kNone || (x != kNone && from != x)) return;
      x = from;
    }
    if (rotated) graph_.become(node, ops_.rotary, 0, {x});
  }
  // The value of which `node` adds or subtracts two parts, each times a table; kNone if of none.
  NodeId rotated_half_of(NodeId node) const {
    const bool sum = graph_.op(node) == ops_.add || graph_.op(node) == ops_.sub;
    if (!sum || graph_.inputs(node).size() != 2) return kNone;
    for (NodeId a : factors(graph_.inputs(node)[0]))
      for (NodeId b : factors(graph_.inputs(node)[1]))
        if (is_part(a) && is_part(b) && origin(a) == origin(b)) return origin(a);
    return kNone;
  }

  Rewriter& graph_;
  std::vector<NodeId> origin_;  // per node: the value that it is a part or an arrangement of
  Ops ops_;
};

}  // namespace

void fuse_rotary(Rewriter& graph) { RotaryFuser(graph).run(); }

}  // namespace narfast
