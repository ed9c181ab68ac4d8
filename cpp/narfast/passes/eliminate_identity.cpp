// Operators without effect on a design: identity, reshape, cast, dropout.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

void eliminate_identity(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    const bool lone_concat = graph.op(node) == "concat"_op && inputs.size() == 1 &&
                             !graph.has_attr(node, attr::kParamOperand | attr::kScalarOperand);
    if ((has_trait(graph.op(node), trait::kTransparent) && !inputs.empty()) || lone_concat)
      graph.replace_by(node, inputs.front());
  }
}

}  // namespace narfast
