// A product with a weight matrix, then a bias: linear.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {

void fuse_linear(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    if (inputs.size() != 1 || !graph.has_attr(node, attr::kParamOperand)) continue;
    if (graph.op(node) == "matmul"_op && !graph.has_attr(node, attr::kConstantFirst)) {
      graph.become(node, "linear"_op, 0, inputs);
    } else if (graph.op(node) == "add"_op && graph.has_attr(node, attr::kConstantClass.mask()) &&
               takes_folding(graph.op(inputs.front())) && graph.uses(inputs.front()) == 1) {
      graph.replace_by(node, inputs.front());  // a bias: the operand is a vector
    }
  }
}

}  // namespace narfast
