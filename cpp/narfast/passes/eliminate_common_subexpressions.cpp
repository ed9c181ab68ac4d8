// Equal operators without weights on one value are one.
#include <map>
#include <tuple>

#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

// Operators without weights alone: optimizers of exports merge these too.
void eliminate_common_subexpressions(Rewriter& graph) {
  std::map<std::tuple<NodeId, OpId, Attr>, NodeId> first;
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    const bool pure = operator_table()[op].category == Category::kPooling ||
                      op == "rotary_embedding"_op ||
                      (has_trait(op, trait::kUnary) && !has_trait(op, trait::kWeights));
    if (!pure || graph.inputs(node).size() != 1) continue;
    const auto [it, is_first] =
        first.emplace(std::tuple(graph.inputs(node).front(), op, graph.attr(node)), node);
    if (!is_first) graph.replace_by(node, it->second);
  }
}

}  // namespace narfast
