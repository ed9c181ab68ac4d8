// Channel ratios that say nothing of the design.
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {

void drop_concat_ratio(Rewriter& graph) {
  // The value behind each node, through normalizations and activations, and the values in a
  // concatenation.
  std::vector<NodeId> origin(index(graph.size()));
  std::vector<bool> concatenated(index(graph.size()), false);
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const Category category = operator_table()[graph.op(node)].category;
    const bool passes_on =
        (category == Category::kNormalization || category == Category::kActivation) &&
        inputs.size() == 1;
    origin[index(node)] = passes_on ? origin[index(inputs.front())] : node;
    // One value beside a learnt one, such as a class token, is longer, not wider.
    if (graph.op(node) != "concat"_op || inputs.size() < 2) continue;
    concatenated[index(node)] = true;
    for (NodeId source : inputs) concatenated[index(origin[index(source)])] = true;
  }
  for (NodeId node = 0; node < graph.size(); ++node)
    if (takes_folding(graph.op(node)) && !graph.inputs(node).empty() &&
        concatenated[index(origin[index(graph.inputs(node).front())])])
      graph.set_attr(node, graph.attr(node) & ~attr::kRatio.mask());
}

// The number of classes of a head belongs to a data set, and the width of a stem over three colours
// says nothing of the design.
void drop_stem_and_head_widths(Rewriter& graph) {
  std::vector<bool> read(static_cast<std::size_t>(graph.size()), false);
  for (NodeId node = 0; node < graph.size(); ++node)
    for (NodeId source : graph.inputs(node)) read[static_cast<std::size_t>(source)] = true;
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const bool first = !inputs.empty() && graph.op(inputs.front()) == "input"_op;
    if (takes_folding(graph.op(node)) && (first || !read[static_cast<std::size_t>(node)]))
      graph.set_attr(node, graph.attr(node) & ~attr::kRatio.mask());
  }
}

}  // namespace narfast
