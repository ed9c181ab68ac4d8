// A learnt scale, then a learnt shift: affine.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

// Norms and layers have taken their own scales and shifts by now.
void fuse_affine(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) != "add"_op || graph.inputs(node).size() != 1 ||
        !graph.has_attr(node, attr::kParamOperand))
      continue;
    const NodeId scale = graph.inputs(node).front();
    if (graph.op(scale) == "mul"_op && graph.inputs(scale).size() == 1 &&
        graph.has_attr(scale, attr::kParamOperand) && graph.uses(scale) == 1)
      graph.become(node, "affine"_op, 0, graph.inputs(scale));
  }
}

}  // namespace narfast
