// The parts of a value, joined again: roll or permute.
#include <algorithm>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

// Joins all parts of one value: two in exchanged order (roll), or more in any order (permute).
void fuse_split_concat(Rewriter& graph) {
  const auto is_part = [&](NodeId node) {
    return (graph.op(node) == "split"_op || graph.op(node) == "slice"_op) &&
           graph.inputs(node).size() == 1;
  };
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    if (graph.op(node) == "concat"_op && inputs.size() >= 2 && is_part(inputs[0]) &&
        !graph.has_attr(node, attr::kParamOperand) &&
        std::all_of(inputs.begin(), inputs.end(), [&](NodeId n) { return n == inputs[0]; })) {
      NodeId whole = graph.inputs(inputs[0]).front();
      const bool exchanged = inputs.size() == 2;
      while (!exchanged && is_part(whole)) whole = graph.inputs(whole).front();  // parts of parts
      graph.become(node, exchanged ? "roll"_op : "permute"_op, 0, {whole});
    }
    // Along two axes it takes two rolls, or one.
    if (graph.op(node) != "roll"_op || graph.inputs(node).size() != 1) continue;
    const NodeId first = graph.inputs(node).front();
    if (graph.op(first) == "roll"_op && graph.uses(first) <= 2)
      graph.set_inputs(node, graph.inputs(first));
  }
}

}  // namespace narfast
