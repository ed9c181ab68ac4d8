// A dense 1x1 convolution of stride 1: linear.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

void pointwise_to_linear(Rewriter& graph) {
  constexpr Attr plain = attr::kKernelOne | attr::kGroupsDense;
  constexpr Attr looked_at =
      attr::kKernel.mask() | attr::kStrided | attr::kGroups.mask() | attr::kDilated;
  for (NodeId node = 0; node < graph.size(); ++node)
    if (graph.op(node) == "conv"_op && (graph.attr(node) & looked_at) == plain)
      graph.become(node, "linear"_op, graph.attr(node) & attr::kRatio.mask(), graph.inputs(node));
}

}  // namespace narfast
