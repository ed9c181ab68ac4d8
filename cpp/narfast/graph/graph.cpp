// Validation, the deterministic node order, and concatenation.
#include "narfast/graph/graph.h"

#include <string>

#include "narfast/base/parallel.h"
#include "narfast/graph/operators.h"

namespace narfast {
namespace {

std::string at_node(std::size_t graph, Offset node) {
  return "graph " + std::to_string(graph) + ", node " + std::to_string(node);
}

// For checks outside loops: it builds its message even where the check holds.
void require(bool ok, const std::string& message) {
  if (!ok) throw InvalidGraph(message);
}

void check_size(Offset nodes, Offset edges, const std::string& where) {
  require(nodes <= kMaxNodes, where + " has " + std::to_string(nodes) + " nodes; at most " +
                                  std::to_string(kMaxNodes) + " are accepted");
  require(edges <= kMaxEdges, where + " has " + std::to_string(edges) + " edges; at most " +
                                  std::to_string(kMaxEdges) + " are accepted");
}

void check_batch(const GraphBatchView& batch, bool topological, int num_threads) {
  require(!batch.node_ptr.empty() && !batch.in_ptr.empty(),
          "node_ptr and in_ptr need at least one entry (a leading 0)");
  auto num_nodes = static_cast<Offset>(batch.op.size());
  auto num_edges = static_cast<Offset>(batch.in_src.size());
  require(batch.attr.size() == batch.op.size(),
          "attr has " + std::to_string(batch.attr.size()) + " entries, op has " +
              std::to_string(batch.op.size()) + "; they must agree");
  require(batch.in_ptr.size() == batch.op.size() + 1,
          "in_ptr must have one entry more than there are nodes (" +
              std::to_string(batch.op.size() + 1) + "), has " +
              std::to_string(batch.in_ptr.size()));
  require(batch.node_ptr.front() == 0 && batch.node_ptr.back() == num_nodes,
          "node_ptr must run from 0 to the number of nodes, " + std::to_string(num_nodes));
  require(batch.in_ptr.front() == 0 && batch.in_ptr.back() == num_edges,
          "in_ptr must run from 0 to the number of edges, " + std::to_string(num_edges));
  for (std::size_t g = 0; g + 1 < batch.node_ptr.size(); ++g)
    if (batch.node_ptr[g] > batch.node_ptr[g + 1])
      throw InvalidGraph("node_ptr falls at graph " + std::to_string(g));

  const auto operators = static_cast<OpId>(operator_table().size());
  parallel_for(batch.size(), num_threads, [&](std::size_t g) {
    const GraphView graph = batch[g];
    for (std::size_t i = 0; i < graph.op.size(); ++i)
      if (graph.in_ptr[i] > graph.in_ptr[i + 1])
        throw InvalidGraph("in_ptr falls at node " +
                           std::to_string(batch.node_ptr[g] + static_cast<Offset>(i)));
    if (graph.in_ptr.front() < 0 || graph.in_ptr.back() > num_edges)
      throw InvalidGraph("in_ptr of graph " + std::to_string(g) +
                         " leaves the edges; it must rise from 0 to their number");
    check_size(graph.num_nodes(), graph.num_edges(), "graph " + std::to_string(g));
    for (NodeId node = 0; node < graph.num_nodes(); ++node) {
      const OpId op = graph.op[static_cast<std::size_t>(node)];
      if (op >= operators)
        throw InvalidGraph(at_node(g, node) + ": operator id " + std::to_string(op) +
                           " is not in the table of " + std::to_string(operators) +
                           "; was it written by a newer version?");
      const NodeId limit = topological ? node : graph.num_nodes();
      for (NodeId source : graph.inputs(node))
        if (source < 0 || source >= limit)
          throw InvalidGraph(at_node(g, node) + ": in-neighbour " + std::to_string(source) +
                             (topological ? " does not stand before it; nodes must be in "
                                            "topological order (build_graph puts them there)"
                                          : " is not a node of the graph"));
    }
  });
}

}  // namespace

void validate(const GraphBatchView& batch, int num_threads) {
  check_batch(batch, /*topological=*/true, num_threads);
}

void validate_loose(const GraphBatchView& batch, int num_threads) {
  check_batch(batch, /*topological=*/false, num_threads);
}

OrderedGraph order_nodes(const LooseGraph& loose) {
  const auto count = static_cast<Offset>(loose.op.size());
  check_size(count, static_cast<Offset>(loose.in_src.size()), "the graph");
  require(loose.attr.size() == loose.op.size() && loose.in_ptr.size() == loose.op.size() + 1,
          "attr and in_ptr must match op in length");
  require(
      loose.in_ptr.front() == 0 && loose.in_ptr.back() == static_cast<Offset>(loose.in_src.size()),
      "in_ptr must run from 0 to the number of edges");
  for (std::size_t i = 0; i + 1 < loose.in_ptr.size(); ++i)
    if (loose.in_ptr[i] > loose.in_ptr[i + 1])
      throw InvalidGraph("in_ptr falls at node " + std::to_string(i));

  enum : std::uint8_t { kNew, kOpen, kDone };
  std::vector<std::uint8_t> state(loose.op.size(), kNew);
  std::vector<NodeId> new_id(loose.op.size(), -1);
  OrderedGraph result;

  struct Frame {
    NodeId node;
    Offset next;
  };
  std::vector<Frame> stack;
  auto enter = [&](NodeId node, const char* what) {
    if (node < 0 || node >= count)
      throw InvalidGraph(std::string(what) + " " + std::to_string(node) +
                         " is not a node of the graph (0 to " + std::to_string(count - 1) + ")");
    auto& s = state[static_cast<std::size_t>(node)];
    if (s == kOpen)
      throw InvalidGraph("node " + std::to_string(node) +
                         " depends on itself; a network's graph must be acyclic");
    if (s == kNew) {
      s = kOpen;
      stack.push_back({node, loose.in_ptr[static_cast<std::size_t>(node)]});
    }
  };

  for (NodeId output : loose.outputs) {
    enter(output, "output");
    while (!stack.empty()) {
      const NodeId node = stack.back().node;
      const auto i = static_cast<std::size_t>(node);
      if (stack.back().next < loose.in_ptr[i + 1]) {
        enter(loose.in_src[static_cast<std::size_t>(stack.back().next++)], "in-neighbour");
        continue;
      }
      state[i] = kDone;
      new_id[i] = static_cast<NodeId>(result.old_id.size());
      result.old_id.push_back(node);
      stack.pop_back();
    }
  }

  Graph& graph = result.graph;
  graph.op.reserve(result.old_id.size());
  graph.attr.reserve(result.old_id.size());
  graph.in_ptr.reserve(result.old_id.size() + 1);
  for (NodeId old : result.old_id) {
    const auto i = static_cast<std::size_t>(old);
    graph.op.push_back(loose.op[i]);
    graph.attr.push_back(loose.attr[i]);
    for (Offset e = loose.in_ptr[i]; e < loose.in_ptr[i + 1]; ++e)
      graph.in_src.push_back(
          new_id[static_cast<std::size_t>(loose.in_src[static_cast<std::size_t>(e)])]);
    graph.in_ptr.push_back(static_cast<Offset>(graph.in_src.size()));
  }
  return result;
}

GraphBatch concatenate(std::span<const Graph> graphs) {
  std::size_t nodes = 0, edges = 0;
  for (const Graph& graph : graphs) {
    nodes += graph.op.size();
    edges += graph.in_src.size();
  }
  GraphBatch batch;
  batch.op.reserve(nodes);
  batch.attr.reserve(nodes);
  batch.in_ptr.reserve(nodes + 1);
  batch.in_src.reserve(edges);
  batch.node_ptr.reserve(graphs.size() + 1);
  for (const Graph& graph : graphs) {
    const auto base = static_cast<Offset>(batch.in_src.size());
    batch.op.insert(batch.op.end(), graph.op.begin(), graph.op.end());
    batch.attr.insert(batch.attr.end(), graph.attr.begin(), graph.attr.end());
    for (std::size_t i = 1; i < graph.in_ptr.size(); ++i)
      batch.in_ptr.push_back(base + graph.in_ptr[i]);
    batch.in_src.insert(batch.in_src.end(), graph.in_src.begin(), graph.in_src.end());
    batch.node_ptr.push_back(static_cast<Offset>(batch.op.size()));
  }
  return batch;
}

}  // namespace narfast
