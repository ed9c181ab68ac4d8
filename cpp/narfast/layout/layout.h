// Layered drawings of graphs (Sugiyama's method): where nodes stand and how edges run. Not here:
// what a node is, and how it looks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

struct LayoutOptions {
  double node_gap = 24;   // least distance of two nodes of a layer, border to border
  double layer_gap = 32;  // distance of two layers, border to border of their tallest nodes
  int sweeps = 48;        // at most so many sweeps for fewer crossings

  bool operator==(const LayoutOptions&) const = default;
};

/// Where the nodes and edges of a graph are drawn. x grows to the right, y downwards; the drawing
/// begins at (0, 0).
struct Layout {
  std::vector<std::int32_t> layer;   // per node; every edge leads to a higher layer
  std::vector<std::int32_t> place;   // per node: its rank among the nodes of its layer
  std::vector<double> x;             // per node: its centre
  std::vector<double> y;             // per node: its centre
  std::vector<Offset> route_ptr{0};  // per edge, one entry more
  std::vector<double> route_x;       // the points where an edge passes a layer
  std::vector<double> route_y;       //
  std::vector<std::uint8_t> bridge;  // per edge: 1 if too long for points; draw it at the side
  std::int64_t crossings = 0;        // of all edges that are no bridges
  double width = 0;
  double height = 0;

  bool operator==(const Layout&) const = default;
};

/// Lays out a graph whose edges lead from lower to higher node numbers, in argument order as in
/// `GraphView`. Equal edges count and run as one.
///
/// Layers are those of longest paths; nodes with more readers than inputs then move towards their
/// readers. Edges over several layers get a point in each; where that would be more than four for
/// each node and edge, all edges of one source share their points, and where even those are more
/// than eight, the longest edges become bridges. Barycentre and median sweeps from several starts,
/// and exchanges of neighbours, reduce crossings; the best order wins. Coordinates are
/// those of Brandes and Koepf (Fast and simple horizontal coordinate assignment, 2001): the mean of
/// the two middle ones of four alignments, in which nodes align with nodes before they align with
/// points, so that trunks are straight.
///
/// Crossings count as if every edge were drawn on its own: edges that share points cross another
/// edge once each.
///
/// Deterministic: a function of the arguments. Orders start from node numbers, so a local change of
/// the graph changes the drawing near it. O((nodes + edges) log(nodes + edges)) for each sweep.
/// Throws InvalidGraph if an edge does not lead to a higher number, std::invalid_argument if there
/// is not one finite size above or at zero for each node.
[[nodiscard]] Layout layered_layout(CsrView<Offset, NodeId> inputs, std::span<const double> widths,
                                    std::span<const double> heights, const LayoutOptions& options);

/// The crossings of straight edges between two layers: edge i leads from place `from[i]` of one to
/// place `to[i]` of the other and counts `weight[i]` times. By an accumulator tree (Barth, Mutzel,
/// Juenger: Simple and efficient bilayer cross counting, 2004); O(edges log edges).
/// Throws std::invalid_argument if the lengths differ or a place is negative.
[[nodiscard]] std::int64_t count_crossings(std::span<const std::int32_t> from,
                                           std::span<const std::int32_t> to,
                                           std::span<const std::int32_t> weight);

}  // namespace narfast
