// Reductions over all of space: global pooling.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

void global_pool(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) == "mean"_op && graph.inputs(node).size() == 1) {
      // One axis of space, then the other.
      const NodeId inner = graph.inputs(node).front();
      if (graph.op(inner) == "mean"_op && graph.inputs(inner).size() == 1 &&
          graph.uses(inner) == 1 && graph.has_attr(node, attr::kLastAxis) &&
          !graph.has_attr(inner, attr::kLastAxis | attr::kSpaceAxes))
        graph.become(node, "global_avg_pool"_op, 0, graph.inputs(inner));
    }
    if (!graph.has_attr(node, attr::kSpaceAxes)) continue;
    if (graph.op(node) == "mean"_op || graph.op(node) == "adaptive_avg_pool"_op)
      graph.become(node, "global_avg_pool"_op, 0, graph.inputs(node));
    else if (graph.op(node) == "max"_op)
      graph.become(node, "global_max_pool"_op, 0, graph.inputs(node));
  }
}

}  // namespace narfast
