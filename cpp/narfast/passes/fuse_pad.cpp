// Padding goes into the convolution or pooling after it.
#include <utility>
#include <vector>

#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {

void fuse_pad(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    if (!takes_folding(op) && op != "max_pool"_op && op != "avg_pool"_op) continue;
    if (op == "linear"_op || graph.inputs(node).empty()) continue;
    std::vector<NodeId> inputs = graph.inputs(node);
    const NodeId source = inputs.front();
    if (graph.op(source) != "pad"_op || graph.inputs(source).size() != 1) continue;
    inputs.front() = graph.inputs(source).front();
    graph.set_inputs(node, std::move(inputs));
  }
}

}  // namespace narfast
