// Permutations of the memory layout alone.
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

// Operators on feature maps: their channels have a fixed place.
bool works_on_maps(OpId op) {
  const Category category = operator_table()[op].category;
  return category == Category::kConvolution || category == Category::kPooling ||
         category == Category::kSpatial;
}

}  // namespace

void drop_layout_permutes(Rewriter& graph) {
  std::vector<std::int32_t> map_readers(static_cast<std::size_t>(graph.size()), 0);
  for (NodeId node = 0; node < graph.size(); ++node)
    if (works_on_maps(graph.op(node)))
      for (NodeId source : graph.inputs(node)) ++map_readers[static_cast<std::size_t>(source)];
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) != "permute"_op || graph.inputs(node).size() != 1) continue;
    const NodeId source = graph.inputs(node).front();
    // From a map to tokens, or from tokens to a map: the operator on maps says where channels are.
    const bool at_a_map = works_on_maps(graph.op(source)) ||
                          map_readers[static_cast<std::size_t>(node)] == graph.uses(node);
    if (graph.has_attr(node, attr::kLayoutPermute) || at_a_map)
      graph.replace_by(node, source);
    else if (graph.op(source) == "permute"_op)
      graph.set_inputs(node, graph.inputs(source));  // one permutation after another is one
  }
}

}  // namespace narfast
