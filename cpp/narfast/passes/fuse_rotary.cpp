// Rotary embedding becomes one operator: code bases write it out in several spellings.
#include <span>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;

class RotaryFuser {
 public:
  explicit RotaryFuser(Rewriter& graph)
      : graph_(graph), origin_(static_cast<std::size_t>(graph.size())) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      if (graph_.op(node) == "add"_op)
        try_rotated(node);
      else if (graph_.op(node) == "concat"_op && !graph_.has_attr(node, attr::kParamOperand))
        try_halves(node);
      const bool arranges = is(node, "permute"_op) || is(node, "split"_op) || is(node, "slice"_op);
      origin_[index(node)] = arranges ? origin_[index(input(node))] : node;
    }
  }

 private:
  [[nodiscard]] NodeId input(NodeId node) const { return graph_.inputs(node).front(); }
  [[nodiscard]] NodeId origin(NodeId node) const { return origin_[index(node)]; }
  [[nodiscard]] bool is(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }

  // The operands of a product with a table of cosines or sines; the table is one of them if it is
  // computed from positions in the input. None if `node` is no such product.
  [[nodiscard]] std::span<const NodeId> factors(NodeId node) const {
    const auto& inputs = graph_.inputs(node);
    const bool by_table =
        inputs.size() == 2 || (inputs.size() == 1 && graph_.has_attr(node, attr::kParamOperand));
    if (graph_.op(node) != "mul"_op || !by_table) return {};
    return inputs;
  }

  // x if `node` is (-second half of x, first half of x), halves of any kind; else kNone.
  [[nodiscard]] NodeId turned(NodeId node) const {
    if (graph_.op(node) != "concat"_op || graph_.inputs(node).size() != 2) return kNone;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}}) {
      const NodeId minus = graph_.inputs(node)[first], plus = graph_.inputs(node)[1 - first];
      if (is(minus, "neg"_op) && input(minus) == plus && is_part(plus)) return origin(plus);
    }
    return kNone;
  }
  [[nodiscard]] bool is_part(NodeId node) const {
    return is(node, "split"_op) || is(node, "slice"_op);
  }

  // x * cos + (-x2, x1) * sin
  void try_rotated(NodeId node) {
    if (graph_.inputs(node).size() != 2) return;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}})
      for (NodeId plain : factors(graph_.inputs(node)[first]))
        for (NodeId other : factors(graph_.inputs(node)[1 - first]))
          if (const NodeId x = turned(other); x != kNone && origin(plain) == x) {
            graph_.become(node, "rotary_embedding"_op, 0, {x});
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
      if (is(part, "rotary_embedding"_op)) {
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
    if (rotated) graph_.become(node, "rotary_embedding"_op, 0, {x});
  }
  // x if `node` adds or subtracts two parts of x, each times a table; else kNone.
  [[nodiscard]] NodeId rotated_half_of(NodeId node) const {
    const bool sum = graph_.op(node) == "add"_op || graph_.op(node) == "sub"_op;
    if (!sum || graph_.inputs(node).size() != 2) return kNone;
    for (NodeId a : factors(graph_.inputs(node)[0]))
      for (NodeId b : factors(graph_.inputs(node)[1]))
        if (is_part(a) && is_part(b) && origin(a) == origin(b)) return origin(a);
    return kNone;
  }

  Rewriter& graph_;
  std::vector<NodeId> origin_;  // per node: the value behind its parts and permutations
};

}  // namespace

void fuse_rotary(Rewriter& graph) { RotaryFuser(graph).run(); }

}  // namespace narfast
