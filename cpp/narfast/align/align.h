// Aligns two graphs: which operator of one is which operator of the other, by structure alone.
// Names, depths and the order of towers may differ.
#pragma once

#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

/// A partial one-to-one map between the nodes of graphs a and b. Both directions hold the same
/// pairs; -1 stands for a node without a partner.
struct Alignment {
  std::vector<NodeId> to_b;  // per node of a
  std::vector<NodeId> to_a;  // per node of b
  Offset kept_edges = 0;     // edges of a whose image is an edge of b

  bool operator==(const Alignment&) const = default;
};

/// Aligns two topologically ordered graphs.
///
/// Seeds are nodes whose neighbourhood of some radius is unique in both graphs, the largest radius
/// first. From matched nodes the alignment grows to their neighbours, best first: by the radius to
/// which the neighbourhoods of two nodes agree, then by the number of their neighbours that are
/// matched to each other. What is left starts again from nodes of equal neighbourhoods in their
/// order, and at last from operators of one category (layer_norm and rms_norm). Then single nodes
/// move where that keeps more edges, which puts the gap of a longer repeat at its narrowest place.
///
/// align(b, a) is the inverse of align(a, b); align(a, a) is the identity. Deterministic.
/// Near-linear: O(r (nodes + edges)) for labels of r = 7 radii, O(d edges log edges) for growth,
/// where d is the degree, of which at most 8 neighbours are compared with one another.
[[nodiscard]] Alignment align(const GraphView& a, const GraphView& b);

}  // namespace narfast
