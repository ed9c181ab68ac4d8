// The effect of single passes on small graphs, for unit tests.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "narfast/graph/operators.h"
#include "narfast/passes/canonicalize.h"
#include "narfast/testing/test_graphs.h"

namespace narfast::testing {

/// The graph after one pass.
inline Graph after(std::string_view pass, const Net& net) {
  return canonicalize(net.view(), pass_mask({pass}));
}

/// Whether one pass changes nothing.
inline bool leaves_alone(std::string_view pass, const Net& net) {
  return after(pass, net) == net.graph();
}

/// A network with chosen outputs, compared by its operators alone. `x` is its input.
struct Sketch {
  Net net;
  NodeId x = net.input();

  NodeId add(std::string_view op, std::initializer_list<NodeId> inputs, Attr attr = 0) {
    return net.add(op, inputs, attr);
  }

  /// The operators that `outputs` need, after some passes.
  Names after(const std::vector<std::string_view>& passes, std::vector<NodeId> outputs) {
    const Graph& all = net.graph();
    const LooseGraph loose{all.op, all.attr, all.in_ptr, all.in_src, std::move(outputs)};
    const Graph graph = order_nodes(loose).graph;
    return op_names(canonicalize(graph.view(), pass_mask(passes)).view());
  }
};

}  // namespace narfast::testing
