// A 128-bit name for the structure of a graph, and an order of its nodes that goes with it.
#pragma once

#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hash128.h"

namespace narfast {

/// Hash of operators, attributes and edges that does not depend on the order of the nodes.
///
/// Colour refinement (Weisfeiler and Leman, 1968) to a fixpoint, in sweeps: one pass in topological
/// order takes in all ancestors, one pass back all descendants, so that a sweep reaches the whole
/// depth of the graph and two or three sweeps end the refinement. Argument order counts except for
/// operators with the commutative trait. Graphs that colour refinement cannot tell apart share a
/// hash; among the labelled DAGs of NAS-Bench-101 there are none.
///
/// Needs topological order (`validate`). Cost: expected O(nodes + edges) for each sweep.
Hash128 structural_hash(const GraphView& graph);

/// One hash for each graph; independent of `num_threads`.
std::vector<Hash128> structural_hash(const GraphBatchView& batch, int num_threads);

/// The nodes of a graph, sorted by the colours behind `structural_hash`.
///
/// Graphs of equal hash, renumbered by it, differ at most among nodes of one colour: what a sum
/// over nodes or neighbours gives, rounding included, no longer depends on how nodes were numbered.
/// Cost: that of `structural_hash`, and a sort.
std::vector<NodeId> structural_order(const GraphView& graph);

/// The same for each graph, one after the other, numbered within the graph.
std::vector<NodeId> structural_order(const GraphBatchView& batch, int num_threads);

}  // namespace narfast
