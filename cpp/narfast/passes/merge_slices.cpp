// Slices of one value become one split.
#include <map>

#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {

void merge_slices(Rewriter& graph) {
  // The first slice or split of each producer; the later ones join it.
  std::map<NodeId, NodeId> first;
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    if ((op != "slice"_op && op != "split"_op) || graph.inputs(node).size() != 1) continue;
    const NodeId source = graph.inputs(node).front();
    const auto [it, is_first] = first.emplace(source, node);
    if (is_first) continue;
    graph.become(it->second, "split"_op, 0, {source});
    graph.replace_by(node, it->second);
  }
}

}  // namespace narfast
