// See matchers.h.
#include "narfast/passes/matchers.h"

#include "narfast/graph/attributes.h"

namespace narfast {
namespace {

// Largest number of scales in a row: without a bound, a long row would cost its square.
constexpr int kMaxScales = 8;

}  // namespace

NodeId strip_scale(const Rewriter& graph, NodeId node) {
  for (int step = 0;
       step < kMaxScales && (graph.op(node) == "mul"_op || graph.op(node) == "div"_op) &&
       graph.inputs(node).size() == 1 && graph.has_attr(node, attr::kScalarOperand) &&
       !(graph.op(node) == "div"_op && graph.has_attr(node, attr::kConstantFirst));
       ++step)
    node = graph.inputs(node).front();
  return node;
}

}  // namespace narfast
