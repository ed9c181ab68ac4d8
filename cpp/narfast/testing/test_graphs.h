// Small graphs written by hand, for the unit tests.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/operators.h"
#include "narfast/graph/structural_hash.h"
#include "narfast/passes/canonicalize.h"

namespace narfast::testing {

/// Builds a graph node by node; every call returns the number of the node it added.
class Net {
 public:
  NodeId add(std::string_view op, std::initializer_list<NodeId> inputs, Attr attr = 0) {
    return add(op, std::vector<NodeId>(inputs), attr);
  }
  NodeId add(std::string_view op, const std::vector<NodeId>& inputs, Attr attr = 0) {
    graph_.op.push_back(find_operator(op).value());
    graph_.attr.push_back(attr);
    graph_.in_src.insert(graph_.in_src.end(), inputs.begin(), inputs.end());
    graph_.in_ptr.push_back(static_cast<Offset>(graph_.in_src.size()));
    return static_cast<NodeId>(graph_.op.size()) - 1;
  }
  NodeId input() { return add("input", {}); }
  /// Operators of one input each, one after the other.
  NodeId chain(NodeId from, std::initializer_list<std::string_view> ops) {
    for (std::string_view op : ops) from = add(op, {from});
    return from;
  }

  const Graph& graph() const { return graph_; }
  GraphView view() const { return graph_.view(); }

 private:
  Graph graph_;
};

inline std::vector<std::string_view> op_names(const GraphView& graph) {
  std::vector<std::string_view> names;
  for (OpId op : graph.op) names.push_back(operator_table()[op].name);
  return names;
}

using Names = std::vector<std::string_view>;

/// The graph after all passes.
inline Graph canonical(const Net& net) { return canonicalize(net.view(), all_passes()); }

/// Whether two spellings of one network have one structure.
inline bool same_canonical(const Net& one, const Net& other) {
  return structural_hash(canonical(one).view()) == structural_hash(canonical(other).view());
}

}  // namespace narfast::testing
