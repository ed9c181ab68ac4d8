// Computational graphs as flat arrays, one at a time or many concatenated. Here: views for
// algorithms to read, owning forms for results, validation, and the deterministic node order. Not
// here: the meaning of operators.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/base/csr.h"
#include "narfast/base/errors.h"

namespace narfast {

using OpId = std::uint16_t;
using Attr = std::uint32_t;
using NodeId = std::int32_t;
using Offset = std::int64_t;

/// Largest graph that is accepted, in nodes.
inline constexpr Offset kMaxNodes = 2'000'000;
/// Largest graph that is accepted, in edges.
inline constexpr Offset kMaxEdges = 64'000'000;

/// One graph: nodes in topological order, in-neighbours in argument order.
/// `in_ptr` has one entry more than there are nodes; its values are offsets into `in_src`, and need
/// not start at zero (a graph may be a slice of a batch).
struct GraphView {
  std::span<const OpId> op;
  std::span<const Attr> attr;
  std::span<const Offset> in_ptr;
  std::span<const NodeId> in_src;

  [[nodiscard]] NodeId num_nodes() const { return static_cast<NodeId>(op.size()); }
  [[nodiscard]] Offset num_edges() const { return op.empty() ? 0 : in_ptr.back() - in_ptr.front(); }
  [[nodiscard]] CsrView<Offset, NodeId> edges() const { return {in_ptr, in_src}; }
  [[nodiscard]] std::span<const NodeId> inputs(NodeId node) const { return edges()[node]; }
};

/// Many graphs, concatenated. `node_ptr` has one entry more than there are graphs; `in_ptr` one
/// more than there are nodes; `in_src` holds node numbers local to their graph.
struct GraphBatchView {
  std::span<const OpId> op;
  std::span<const Attr> attr;
  std::span<const Offset> node_ptr;
  std::span<const Offset> in_ptr;
  std::span<const NodeId> in_src;

  [[nodiscard]] std::size_t size() const { return node_ptr.empty() ? 0 : node_ptr.size() - 1; }
  [[nodiscard]] GraphView operator[](std::size_t graph) const {
    auto begin = static_cast<std::size_t>(node_ptr[graph]);
    auto count = static_cast<std::size_t>(node_ptr[graph + 1]) - begin;
    return {op.subspan(begin, count), attr.subspan(begin, count), in_ptr.subspan(begin, count + 1),
            in_src};
  }
};

/// The owning form of one graph.
struct Graph {
  std::vector<OpId> op;
  std::vector<Attr> attr;
  std::vector<Offset> in_ptr{0};
  std::vector<NodeId> in_src;

  [[nodiscard]] GraphView view() const { return {op, attr, in_ptr, in_src}; }
  bool operator==(const Graph&) const = default;
};

/// The owning form of a batch.
struct GraphBatch {
  std::vector<OpId> op;
  std::vector<Attr> attr;
  std::vector<Offset> node_ptr{0};
  std::vector<Offset> in_ptr{0};
  std::vector<NodeId> in_src;

  [[nodiscard]] GraphBatchView view() const { return {op, attr, node_ptr, in_ptr, in_src}; }
  bool operator==(const GraphBatch&) const = default;
};

/// Checks that `batch` is well formed: offsets start at 0 and never fall, array lengths agree,
/// every operator is in the table, every in-neighbour stands before its node (so the graph is
/// acyclic), and no graph is larger than kMaxNodes or kMaxEdges. O(nodes + edges). Throws
/// InvalidGraph naming the graph, the node and the remedy.
void validate(const GraphBatchView& batch, int num_threads = 1);

/// As `validate`, but accepts nodes in any order, and cycles: enough for algorithms that only
/// follow edges (mining by sequence, coarsening).
void validate_loose(const GraphBatchView& batch, int num_threads = 1);

/// A graph in any node numbering, as sources and rewriting passes hold it.
struct LooseGraph {
  std::vector<OpId> op;
  std::vector<Attr> attr;
  std::vector<Offset> in_ptr{0};
  std::vector<NodeId> in_src;
  std::vector<NodeId> outputs;
};

/// Result of `order_nodes`: the graph, and the former number of each node.
struct OrderedGraph {
  Graph graph;
  std::vector<NodeId> old_id;
};

/// Keeps the ancestors of `outputs` and numbers them in depth-first post-order from the outputs,
/// arguments in order. This order is topological, does not depend on the numbering of `loose`, and
/// keeps the blocks of a network contiguous. Iterative; O(nodes + edges).
/// Throws InvalidGraph on a cycle, a dangling edge or a graph beyond the limits.
[[nodiscard]] OrderedGraph order_nodes(const LooseGraph& loose);

/// Concatenates graphs in the given order; their node numbers stay local.
[[nodiscard]] GraphBatch concatenate(std::span<const Graph> graphs);

/// The readers of each node, ascending, with multiplicity.
using Consumers = Csr<Offset, NodeId>;
[[nodiscard]] inline Consumers consumers_of(const GraphView& graph) {
  return transpose(graph.edges());
}

}  // namespace narfast
