// Aligns two graphs: which operator of one is which operator of the other, by structure alone.
// Names, depths and the order of towers may differ.
#pragma once

#include <cstdint>
#include <span>
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

/// Parts of graphs a and b that are known to correspond, such as blocks: a number for each node, -1
/// for a node without partner. Both are empty where nothing is known.
struct Parts {
  std::span<const std::int32_t> of_a;
  std::span<const std::int32_t> of_b;
};

/// Aligns two topologically ordered graphs.
///
/// Seeds are nodes whose neighbourhood of some radius is rare and equally frequent in both graphs,
/// the largest radius first, those in the order of both graphs before others. From matched nodes
/// the alignment grows to their neighbours, best first: by the radius to which the neighbourhoods
/// of two nodes agree, then by the number of their neighbours that are matched to each other. What
/// is left starts again from nodes of equal neighbourhoods in their order, and at last from
/// operators of one category (layer_norm and rms_norm). Then single nodes move where that keeps
/// more edges, which puts the gap of a longer repeat at its narrowest place.
///
/// With `parts`, nodes of equal number are matched first, and the rest without regard to parts.
///
/// align(b, a) is the inverse of align(a, b); align(a, a) is the identity. Deterministic.
/// Near-linear: O(r (nodes + edges)) for labels of r = 7 radii, O(d edges log edges) for growth,
/// where d is the degree, of which at most 8 neighbours are compared with one another. Of a node
/// with more than 256 neighbours some are passed over where votes and edges are counted.
/// `kept_edges` counts an edge that stands twice as often as both graphs have it.
/// Throws InvalidGraph if there are parts, but not one for each node.
[[nodiscard]] Alignment align(const GraphView& a, const GraphView& b, Parts parts = {});

}  // namespace narfast
