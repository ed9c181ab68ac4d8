// Batch norm goes into the layer before it, or into the projection after it.
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {

void fold_batch_norm(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) == "batch_norm"_op && graph.inputs(node).size() == 1) {
      const NodeId source = graph.inputs(node).front();
      if (takes_folding(graph.op(source)) && graph.uses(source) == 1)
        graph.replace_by(node, source);
    } else if (graph.op(node) == "linear"_op && graph.inputs(node).size() == 1) {
      // Before a projection (a classifier head): no padding is in the way.
      const NodeId norm = graph.inputs(node).front();
      if (graph.op(norm) == "batch_norm"_op && graph.inputs(norm).size() == 1 &&
          graph.uses(norm) == 1)
        graph.set_inputs(node, graph.inputs(norm));
    }
  }
}

}  // namespace narfast
