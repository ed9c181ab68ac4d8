// An operand computed from parameters alone becomes a parameter of its reader.
#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

void fold_parameters(Rewriter& graph) {
  std::vector<bool> reached(static_cast<std::size_t>(graph.size()), false);
  bool any_source = false;
  for (NodeId node = 0; node < graph.size(); ++node)
    any_source |= has_trait(graph.op(node), trait::kSource);
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const auto is_reached = [&](NodeId source) {
      return reached[static_cast<std::size_t>(source)];
    };
    reached[static_cast<std::size_t>(node)] = has_trait(graph.op(node), trait::kSource) ||
                                              (!any_source && inputs.empty()) ||
                                              std::any_of(inputs.begin(), inputs.end(), is_reached);
    if (!is_reached(node) || std::all_of(inputs.begin(), inputs.end(), is_reached)) continue;
    // An operand computed from parameters alone is itself a parameter of the operator.
    std::vector<NodeId> kept;
    std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(kept), is_reached);
    Attr attr = graph.attr(node);
    if (!has_trait(graph.op(node), trait::kWeights)) {
      attr |= attr::kParamOperand;
      if (!is_reached(inputs.front()) && !has_trait(graph.op(node), trait::kCommutative))
        attr |= attr::kConstantFirst;
    }
    graph.set_attr(node, attr);
    graph.set_inputs(node, std::move(kept));
  }
}

}  // namespace narfast
