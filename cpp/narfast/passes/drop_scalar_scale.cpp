// Multiplication by, and addition of, a constant number.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {

void drop_scalar_scale(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const bool shifts = (graph.op(node) == "add"_op || graph.op(node) == "sub"_op) &&
                        graph.inputs(node).size() == 1 &&
                        graph.has_attr(node, attr::kScalarOperand) &&
                        !graph.has_attr(node, attr::kConstantFirst);
    if (const NodeId source = strip_scale(graph, node); source != node)
      graph.replace_by(node, source);
    else if (shifts)
      graph.replace_by(node, graph.inputs(node).front());
  }
}

}  // namespace narfast
