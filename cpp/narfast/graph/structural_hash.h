// A 128-bit name for the structure of a graph, and the matching order of its nodes.
#pragma once

#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hash128.h"

namespace narfast {

/// Hash of operators, attributes and edges, independent of the order of the nodes.
///
/// Colour refinement (Weisfeiler and Leman, 1968) to a fixed point, in sweeps. One pass in
/// topological order takes in all ancestors, one pass back all descendants: a sweep reaches the
/// whole depth of the graph, and two or three sweeps suffice. Argument order counts except for
/// operators with the commutative trait. Graphs that colour refinement cannot tell apart share a
/// hash; NAS-Bench-101 has no such pair.
///
/// Needs topological order (`validate`). Cost: expected O(nodes + edges) for each sweep.
[[nodiscard]] Hash128 structural_hash(const GraphView& graph);

/// One hash for each graph; independent of `num_threads`.
[[nodiscard]] std::vector<Hash128> structural_hash(const GraphBatchView& batch, int num_threads);

/// The nodes of a graph, sorted by the colours behind `structural_hash`.
///
/// Graphs of equal hash, renumbered by this order, differ at most among nodes of one colour. Sums
/// over nodes or neighbours then do not depend on the numbering, rounding included. Cost: that of
/// `structural_hash`, and a sort.
[[nodiscard]] std::vector<NodeId> structural_order(const GraphView& graph);

/// The same for each graph, one after the other, numbered within the graph.
[[nodiscard]] std::vector<NodeId> structural_order(const GraphBatchView& batch, int num_threads);

}  // namespace narfast
